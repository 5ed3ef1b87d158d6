// The script of report.html: selection of trials, tooltips, the table and the pictures.
// It draws nothing: plots and tables are complete without it.
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const trials = read("trial-data");
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  let picked = null; // number of the selected trial as text

  // Selection: everything with the same data-trial is marked.
  const panel = byId("picked");
  function pick(number) {
    picked = number;
    document.body.classList.toggle("has-picked", number !== null);
    for (const element of all("[data-trial]")) {
      const isPicked = element.dataset.trial === number;
      element.classList.toggle("is-picked", isPicked);
      const button = element.matches("tr") ? element.querySelector("button") : element;
      if (button && button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", isPicked);
    }
    panel.hidden = number === null;
    byId("copied").textContent = "";
    if (number === null) return;
    const trial = trials[number];
    byId("picked-label").textContent = trial.label;
    byId("picked-note").textContent = trial.note;
    byId("picked-yaml").textContent = trial.yaml;
    showPictures(number);
  }
  const toggle = (number) => pick(picked === number ? null : number);

  document.addEventListener("click", (event) => {
    const element = event.target.closest("[data-trial]");
    if (element && !event.target.closest("a, input, select, summary")) toggle(element.dataset.trial);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      hideTip();
      pick(null);
    }
  });
  byId("clear").addEventListener("click", () => pick(null));

  // The marks of a plot are one stop of the Tab key; the arrow keys move among them.
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  for (const plot of all("svg.plot")) {
    const marks = all(".mark", plot);
    marks.sort((a, b) => Number(a.dataset.trial) - Number(b.dataset.trial));
    marks.forEach((mark, index) => {
      mark.setAttribute("role", "button");
      mark.setAttribute("tabindex", index ? "-1" : "0");
      mark.setAttribute("aria-pressed", "false");
      mark.setAttribute("aria-label", describe(mark));
      mark.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          toggle(mark.dataset.trial);
          return;
        }
        let next = index + (steps[event.key] || 0);
        if (event.key === "Home") next = 0;
        if (event.key === "End") next = marks.length - 1;
        if (next === index || !marks[next]) return;
        event.preventDefault();
        mark.setAttribute("tabindex", "-1");
        marks[next].setAttribute("tabindex", "0");
        marks[next].focus();
      });
    });
  }
  function describe(mark) {
    const { tip, trial } = mark.dataset;
    return tip ? `${trials[trial].label}: ${tip}` : trials[trial].label;
  }

  // Tooltips
  const tip = byId("tip");
  function showTip(mark, x, y) {
    tip.textContent = describe(mark);
    const values = document.createElement("small");
    values.textContent = trials[mark.dataset.trial].values;
    tip.append(values);
    tip.hidden = false;
    const left = Math.min(x + 14, document.documentElement.clientWidth - tip.offsetWidth - 8);
    const below = y + 18 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${below ? y + 18 : Math.max(4, y - 12 - tip.offsetHeight)}px`;
  }
  function hideTip() {
    tip.hidden = true;
  }
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest && event.target.closest(".mark");
    if (mark) showTip(mark, event.clientX, event.clientY);
    else hideTip();
  });
  document.addEventListener("focusin", (event) => {
    if (!event.target.matches(".mark")) return hideTip();
    const box = event.target.getBoundingClientRect();
    showTip(event.target, box.left + box.width / 2, box.top + box.height / 2);
  });
  document.addEventListener("focusout", hideTip);

  // What scrolls can be reached and scrolled by keys.
  function reachScrolling() {
    for (const box of all(".wide, pre")) {
      const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1;
      if (scrolls) box.setAttribute("tabindex", "0");
      else box.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", reachScrolling);
  addEventListener("load", reachScrolling);

  // Copying; the clipboard of a page that was opened from a file may be closed to scripts.
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      getSelection().selectAllChildren(byId("picked-yaml"));
      return document.execCommand("copy");
    }
  }
  byId("copy").addEventListener("click", async () => {
    const copied = await copy(trials[picked].yaml);
    byId("copied").textContent = copied ? "copied" : "select the text and copy it";
  });

  // The table of trials
  const table = byId("trials");
  if (table) {
    const body = table.tBodies[0];
    const key = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === ""); // unknown values stay last
      const difference = Number(a) - Number(b);
      return Number.isNaN(difference) ? a.localeCompare(b) : difference;
    };
    all("th button", table).forEach((button) => {
      const header = button.parentElement;
      button.addEventListener("click", () => {
        const order = header.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
        all("th", table).forEach((other) => other.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const column = header.cellIndex;
        const rows = [...body.rows].sort((first, second) => {
          const [a, b] = [key(first, column), key(second, column)];
          return a === "" || b === "" ? compare(a, b) : sign * compare(a, b);
        });
        body.append(...rows);
      });
    });
    const filter = byId("filter");
    const fate = byId("fate");
    const apply = () => {
      const words = filter.value.toLowerCase().split(/\s+/);
      let shown = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        const fits = !fate.value || row.dataset.fate === fate.value;
        row.hidden = !(fits && words.every((word) => text.includes(word)));
        shown += !row.hidden;
      }
      byId("shown").textContent = `${shown} of ${body.rows.length} shown`;
    };
    filter.addEventListener("input", apply);
    fate.addEventListener("change", apply);
  }

  // The pictures
  const pictures = read("picture-data");
  const chooser = byId("picture-trial");
  const slider = byId("picture-epoch");
  function showEpoch() {
    const epochs = Object.keys(pictures[chooser.value]);
    const epoch = epochs[slider.value];
    const shownIn = byId("picture");
    shownIn.src = pictures[chooser.value][epoch];
    shownIn.alt = `translations of trial ${chooser.selectedOptions[0].text}, epoch ${epoch}`;
    byId("picture-label").textContent = `epoch ${epoch}`;
    slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    byId("picture-frame").dataset.trial = chooser.selectedOptions[0].dataset.leads;
    byId("picture-frame").classList.toggle("is-picked", byId("picture-frame").dataset.trial === picked);
  }
  function showTrial() {
    const epochs = Object.keys(pictures[chooser.value]);
    slider.max = epochs.length - 1;
    slider.value = epochs.length - 1;
    slider.disabled = epochs.length < 2;
    showEpoch();
  }
  function showPictures(number) {
    if (!chooser) return;
    const option = all("option", chooser).find((each) => each.dataset.trials.split(" ").includes(number));
    if (!option) return;
    option.dataset.leads = number;
    chooser.value = option.value;
    showTrial();
  }
  if (chooser) {
    chooser.addEventListener("change", showTrial);
    slider.addEventListener("input", showEpoch);
    showTrial();
  }
})();
