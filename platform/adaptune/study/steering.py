"""Requests of a person that a search has carried out, as its study records them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import optuna
from optuna.trial import TrialState

from adaptune.spec.distributions import Distribution
from adaptune.study.job import format_values
from adaptune.study.parameters import encode
from adaptune.study.requests import Action, Request

_RECORD = "request:"  # user attribute of the study, by name of the request
_ORIGIN = "request"  # user attribute of a trial: name of the request for it


@dataclass(frozen=True)
class Effect:
    """The effect of a request that was carried out.

    Attributes:
        action: the action of the request.
        adds: number of trials that it added.
        stopped: number of the trial that it stopped.
        limit: number of trials after which the search ends; None if it does not end it.
        planned: number of trials by the spec, when the limit was set.
    """

    action: Action
    adds: int = 0
    stopped: int | None = None
    limit: int | None = None
    planned: int | None = None


class Steering:
    """The requests that a search has carried out; each is stored under its name.

    A request that was carried out before a kill is thus known after it, and has its effect in each
    later session.

    Args:
        study: the study; only the driver's object writes to it.
        space: the searched values, by dotted path.
    """

    def __init__(self, study: optuna.Study, space: Mapping[str, Distribution]) -> None:
        self._study = study
        self._space = space
        self._effects: dict[str, Effect] = {}  # by name of the request, oldest first
        self.read()

    def read(self) -> None:
        """Read what another process may have written since."""
        attributes = self._study.user_attrs
        names = sorted(key for key in attributes if key.startswith(_RECORD))
        self._effects = {name.removeprefix(_RECORD): Effect(**attributes[name]) for name in names}

    def started(self) -> int:
        """Return the number of trials that have started."""
        trials = self._study.get_trials(deepcopy=False)
        return sum(trial.state != TrialState.WAITING for trial in trials)

    def trials(self, planned: int) -> int:
        """Return the number of trials in all.

        Args:
            planned: number of trials by the spec. An end that was requested when the spec had
                another number no longer holds: the search has been extended since.
        """
        total = planned
        for effect in self._effects.values():
            if effect.limit is not None and effect.planned == planned:
                total = effect.limit
            total += effect.adds
        return total

    def is_stopped(self, number: int) -> bool:
        """Return whether a person has stopped a trial."""
        return any(effect.stopped == number for effect in self._effects.values())

    def carry_out(self, name: str, request: Request, *, planned: int) -> str | None:
        """Carry a request out and record it; repeat nothing that the study has already.

        Args:
            name: name of the request.
            planned: number of trials by the spec.

        Returns:
            A line for the user; None if the request was carried out before.
        """
        if name in self._effects:
            return None
        action = request.action
        match action:
            case "stop":
                is_running = self._is_running(request.trial)
                effect = Effect(action, stopped=request.trial if is_running else None)
                message = f"trial {request.trial} stops after its current epoch"
                if not is_running:
                    message = f"trial {request.trial} is not running; nothing is stopped"
            case "try":
                number = self._enqueue(name, request)
                effect = Effect(action, adds=1)
                message = f"trial {number} will try {format_values(request.values)}"
            case "add":
                effect = Effect(action, adds=request.trials)
                message = f"{request.trials} trial(s) added"
            case "finish":
                effect = Effect(action, limit=self.started(), planned=planned)
                message = "no more trials start: the search ends after the running ones"
        self._study.set_user_attr(_RECORD + name, asdict(effect))
        self._effects[name] = effect
        return f"on request: {message}"

    def _is_running(self, number: int | None) -> bool:
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return any(trial.number == number for trial in running)

    def _enqueue(self, name: str, request: Request) -> int:
        """Return the number of the trial of a request; a kill may have come after its creation."""
        origin = {_ORIGIN: name}
        for trial in self._study.get_trials(deepcopy=False):
            if trial.user_attrs.get(_ORIGIN) == name:
                return trial.number
        self._study.enqueue_trial(encode(self._space, request.values), user_attrs=origin)
        return self._study.get_trials(deepcopy=False)[-1].number
