"""The placement plan of a search, and its description without starting anything."""

from __future__ import annotations

from rich.console import Console

from adaptune.cluster.doctor import require_healthy_nodes
from adaptune.cluster.local_resources import local_resources
from adaptune.cluster.nodes import wait_for_plan
from adaptune.cluster.placement import PlacementPlan, plan_placement
from adaptune.data.registry import check_name
from adaptune.errors import ResourceError
from adaptune.results.folder import ResultsFolder
from adaptune.spec.rungs import rungs
from adaptune.spec.schema import SearchSpec
from adaptune.spec.serialize import dump_spec
from adaptune.workflows.estimate import estimate_before_start


def plan_on_cluster(
    spec: SearchSpec, folder: ResultsFolder, console: Console, address: str | None
) -> PlacementPlan:
    """Return the plan as soon as one trial fits, after a check of the nodes of a shared cluster.

    Raises:
        ResourceError: the nodes did not join in time, or one of them would lose trials.
    """
    plan = wait_for_plan(spec, console)
    if address is not None:
        for warning in require_healthy_nodes(folder.shared_path, plan.resources):
            console.print(warning.message, style="yellow")
    return plan


def describe_plan(spec: SearchSpec) -> str:
    """Return the resolved spec and what a search of it would do, for `--dry-run`.

    Raises:
        DataError: a domain does not exist.
        ResourceError: this machine has too little memory for a trial.
    """
    for domain in (spec.data.source, spec.data.target):
        check_name(domain.domain)
    node = local_resources()
    plan = None
    try:
        plan = plan_placement(spec, [node])
        placement = plan.describe(spec.search.classifiers_per_gan)
    except ResourceError as error:  # a spec for a cluster may be checked on a laptop
        placement = f"not on this machine: {error}"
    scheduler = spec.search.scheduler
    rung_epochs = rungs(scheduler, spec.epochs)
    later = ", and once it has a model after others" if scheduler.name == "curves" else ""
    yaml = dump_spec(spec)
    estimate = estimate_before_start(spec, plan, node)
    size = estimate.group_size
    if size is not None:
        spec = spec.with_group_size(size.trials)
    updates = spec.planned_groups * spec.epochs * spec.steps_per_epoch
    batch_sizes = " or ".join(str(size) for size in spec.batch_sizes)
    lines = [
        yaml,
        f"# {spec.planned_trials} trials over {', '.join(spec.space) or 'nothing'},"
        f" by {spec.search.metric}",
        f"# {placement}",
        f"# {spec.epochs} epochs of {spec.steps_per_epoch} updates",
        f"# {scheduler.name} may stop trials after epochs {rung_epochs or 'none'}{later}",
        f"# at most {updates} updates of {batch_sizes} pairs, if no trial is stopped early",
    ]
    if size is not None:
        lines.append(f"# {size.description}")
    if spec.search.classifiers_per_gan == "auto":
        lines.append("# search.classifiers_per_gan: auto is measured before the first trial")
    if spec.search.group_size > 1:
        own = ", ".join(spec.classifier_side)
        lines.append(f"# groups of {spec.search.group_size} trials share a GAN and differ in {own}")
    lines.append(f"# {estimate.description}")
    lines += [f"# warning: {' '.join(warning.split())}" for warning in estimate.warnings]
    return "\n".join(lines)
