"""The errors that adaptune raises on purpose.

AdaptuneError
├── SpecError
├── DataError
├── ResourceError
├── ResultsError
│   └── OtherSpecError
├── NodesLostError
│   └── TaskTimeoutError
├── NonFiniteLossError
├── CheckpointError
├── TrialCrashedError
├── WorkersLostError
│   ├── WorkersNotStartedError
│   └── PreemptedError
├── LeaseLostError
├── InterruptedSearchError
└── SearchFailedError

The message of each error names the fault, its location and the remedy. The errors in `BAD_INPUT`
end the program with exit status 2.
"""

from adaptune.text import escape_control


class AdaptuneError(Exception):
    """Base class of all errors that adaptune raises on purpose.

    As text, control characters in a message are escape sequences, because a message names paths and
    values from outside. Line breaks are kept.
    """

    def __str__(self) -> str:
        return escape_control(super().__str__(), keep="\n")


class SpecError(AdaptuneError):
    """The search space file, an override or a command-line option is wrong."""


class DataError(AdaptuneError):
    """A domain cannot be loaded, or the two domains do not fit together."""


class ResourceError(AdaptuneError):
    """The cluster has no room for even one trial."""


class ResultsError(AdaptuneError):
    """A results folder or an export is missing, unreadable, or belongs to another spec."""


class OtherSpecError(ResultsError):
    """A results folder holds a search of another spec."""


class NodesLostError(AdaptuneError):
    """The cluster had no node with room for a trial for too long; the search can be resumed."""


class TaskTimeoutError(NodesLostError):
    """A task of a search ran for longer than it may."""


class NonFiniteLossError(AdaptuneError):
    """A loss term became NaN or infinite.

    The message names the step, the term and the loss weights.
    """


class CheckpointError(AdaptuneError):
    """A checkpoint cannot be written or read."""


class TrialCrashedError(AdaptuneError):
    """The training of a trial raised an error that another attempt would raise again.

    The trial ends, and its processes train no other trial: their GPU may be in a bad state.
    """


class WorkersLostError(AdaptuneError):
    """The worker group of a trial died.

    The trial can resume from its last checkpoint in another worker group.

    Args:
        is_from_code: whether Python code of the workers raised the cause, which a second group
            may therefore meet again.
    """

    def __init__(self, message: str, *, is_from_code: bool = False) -> None:
        super().__init__(message)
        self.is_from_code = is_from_code

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the message: the errors of workers travel to other processes."""
        return type(self), self.args, {"is_from_code": self.is_from_code}


class WorkersNotStartedError(WorkersLostError):
    """The workers of a group did not start, often because the cluster had no room for them.

    The trial is requeued.
    """


class PreemptedError(WorkersLostError):
    """A node of the worker group is about to be reclaimed.

    The trial was checkpointed before this error was raised, and it can resume on another node.
    """


class LeaseLostError(AdaptuneError):
    """Another driver took over the search in its object store or database."""


class InterruptedSearchError(AdaptuneError):
    """A signal stopped the search; every result so far is kept and the search can be resumed.

    The exit status is 128 + `signal_number`.

    Args:
        message: how to resume the search.
        signal_number: number of the signal, by default that of SIGINT.
    """

    signal_number: int

    def __init__(self, message: str, signal_number: int = 2) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class SearchFailedError(AdaptuneError):
    """An unexpected error ended the search; the exit status is 1."""


BAD_INPUT = (SpecError, DataError, ResourceError, ResultsError)
