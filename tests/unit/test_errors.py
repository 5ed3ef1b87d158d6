from __future__ import annotations

import inspect
import pickle
import signal

import pytest

from adaptune import errors
from adaptune.errors import AdaptuneError, InterruptedSearchError


def error_classes() -> list[type[AdaptuneError]]:
    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    return [cls for cls in classes if issubclass(cls, AdaptuneError)]


def draw_tree(base: type[AdaptuneError], indent: str = "") -> list[str]:
    """Return the lines of the tree below `base`, in the order of definition."""
    lines = []
    children = [cls for cls in error_classes() if base in cls.__bases__]
    for child in children:
        is_last = child is children[-1]
        branch = "└── " if is_last else "├── "
        trunk = "    " if is_last else "│   "
        lines.append(f"{indent}{branch}{child.__name__}")
        lines += draw_tree(child, indent + trunk)
    return lines


def test_the_module_shows_the_tree_of_its_errors() -> None:
    tree = "\n".join(["AdaptuneError", *draw_tree(AdaptuneError)])
    assert f"\n\n{tree}\n\n" in (errors.__doc__ or "")


def test_bad_input_is_what_a_user_can_correct() -> None:
    names = [error.__name__ for error in errors.BAD_INPUT]
    assert names == ["SpecError", "DataError", "ResourceError", "ResultsError"]


def test_an_interruption_is_that_of_the_keyboard_by_default() -> None:
    error = InterruptedSearchError("resume with --resume")
    assert error.signal_number == signal.SIGINT
    assert str(error) == "resume with --resume"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_keeps_its_signal_between_processes(number: signal.Signals) -> None:
    error = pickle.loads(pickle.dumps(InterruptedSearchError("stopped", number)))
    assert error.signal_number == number
    assert str(error) == "stopped"


def test_a_message_shows_control_characters_as_escapes_and_keeps_its_lines() -> None:
    assert str(AdaptuneError("a\x1b[2J\tb\nc\udc80")) == "a\\x1b[2J\\tb\nc\\udc80"
