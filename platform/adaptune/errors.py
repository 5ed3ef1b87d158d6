"""The errors that a user can cause, or can do something about."""


class AdaptuneError(Exception):
    """Base of all errors that adaptune raises on purpose; the message tells what to do next."""


class SpecError(AdaptuneError):
    """The search space file, an override or a flag is wrong."""


class DataError(AdaptuneError):
    """A domain cannot be loaded, or does not fit the other one."""


class ResourceError(AdaptuneError):
    """The cluster cannot hold even one trial."""


class ResultsError(AdaptuneError):
    """A results folder or an export is missing, belongs to another spec, or cannot be read."""


class NonFiniteLossError(AdaptuneError):
    """A loss term became NaN or infinite; the message names the step, the term and the weights."""


class CheckpointError(AdaptuneError):
    """A checkpoint cannot be written or read."""


class WorkersLostError(AdaptuneError):
    """The workers of a lane died; the trial can go on elsewhere from its last checkpoint."""


class WorkersNotStartedError(WorkersLostError):
    """The cluster had no room for a lane's workers, or they did not come up; the trial waits for its turn."""


class PreemptedError(WorkersLostError):
    """A node of the lane is about to be taken away; the trial was saved where it stands."""


BAD_INPUT = (SpecError, DataError, ResourceError, ResultsError)  # exit status 2
