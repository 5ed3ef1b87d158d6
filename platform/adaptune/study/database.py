"""Databases of studies: bounded waits, retries, and reading without a trace."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar
from weakref import finalize

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.pool import NullPool

from adaptune.errors import ResultsError
from adaptune.spec.addresses import mask_secrets
from adaptune.spec.storage import sqlite_file

log = logging.getLogger(__name__)
T = TypeVar("T")
RETRY_TIMEOUT_S = 300.0
_MAX_PAUSE_S = 30.0
_STUDIES_TABLE = "studies"  # Optuna's
_CONNECT_TIMEOUT_S = 10
_STATEMENT_TIMEOUT_S = 60
_TRANSIENT = (OperationalError, InterfaceError, InternalError)
# The methods of a storage that Optuna calls; the ones with an underscore are those of its cache.
_RETRIED = (
    "create_new_study",
    "delete_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "_create_new_trial",
    "_set_trial_param",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "get_trial_id_from_study_id_trial_number",
    "get_trial",
    "_get_trials",
    "_get_best_trial_id",
)


class RetryingDatabase(RDBStorage):
    """A database whose requests are repeated while it does not answer, for up to five minutes.

    A request that was carried out although its answer was lost is safe to repeat: all of them store
    a value under a name. The only exception is a new trial, which may then exist twice.

    Args:
        url: address of the database.
        check: called before each request; an error that it raises ends the request.
    """

    def __init__(self, url: str, check: Callable[[], None] = lambda: None) -> None:
        self.check = check
        super().__init__(url, engine_kwargs=engine_options(url))
        finalize(self, self.engine.dispose)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Store the state of a trial, unless an earlier attempt did so without an answer.

        Returns:
            False if the trial is running already, see Optuna.
        """
        attempts = 0

        def store() -> bool:
            nonlocal attempts
            attempts += 1
            if attempts > 1 and RDBStorage.get_trial(self, trial_id).state == state:
                return True
            return bool(RDBStorage.set_trial_state_values(self, trial_id, state, values))

        self.check()
        return retry(store)


def _add_retries(name: str) -> None:
    method: Callable[..., object] = getattr(RDBStorage, name)

    @wraps(method)
    def request(self: RetryingDatabase, *arguments: object, **options: object) -> object:
        self.check()
        return retry(lambda: method(self, *arguments, **options))

    setattr(RetryingDatabase, name, request)


for _name in _RETRIED:
    _add_retries(_name)


def retry(request: Callable[[], T]) -> T:
    """Return the answer to a request, which is repeated while the database does not answer.

    Raises:
        Exception: the error of the last attempt after `RETRY_TIMEOUT_S`, or one of the request.
    """
    deadline = time.monotonic() + RETRY_TIMEOUT_S
    pause_s = 1.0
    while True:
        try:
            return request()
        except (StorageInternalError, DBAPIError) as error:
            if not is_transient(error) or time.monotonic() + pause_s > deadline:
                raise
            cause = mask_secrets(str(getattr(error.__cause__ or error, "orig", error)).strip())
            log.warning("storage.study does not answer (%s); retrying in %.0f s", cause, pause_s)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _MAX_PAUSE_S)


def is_transient(error: Exception) -> bool:
    """Return whether a request may succeed later: the database was unreachable, or busy."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(cause, _TRANSIENT)


def open_database(url: str, check: Callable[[], None] = lambda: None) -> RetryingDatabase:
    """Open a database for writing; its tables are created if they are missing.

    Args:
        check: called before each request.

    Raises:
        ResultsError: the database does not answer, or its client is missing.
    """
    return _opened(lambda: RetryingDatabase(url, check))


def read_database(url: str) -> RDBStorage | None:
    """Open a database for reading; None if it does not exist.

    Nothing is created: no file, and no table.

    Raises:
        ResultsError: the database does not answer, or its client is missing.
    """
    file = sqlite_file(url)
    if file is not None and not file.exists():
        return None

    def open_for_reading() -> RDBStorage | None:
        options = engine_options(url, read_only=True, keep_open=False)
        address = _read_only_url(url)
        engine = create_engine(address, **options)
        has_tables = inspect(engine).has_table(_STUDIES_TABLE)
        if not has_tables:
            return None
        return RDBStorage(address, engine_kwargs=options)

    return _opened(open_for_reading)


def engine_options(url: str, *, read_only: bool = False, keep_open: bool = True) -> dict[str, Any]:
    """Return options of SQLAlchemy's engine that bound every wait for the database.

    Args:
        read_only: whether the database refuses all changes.
        keep_open: whether connections are used again.

    Raises:
        ArgumentError: the address is not one of a database.
    """
    options: dict[str, Any] = {}
    if keep_open:
        options["pool_pre_ping"] = True  # it may have been closed since it was last used
    else:
        options["poolclass"] = NullPool
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": _STATEMENT_TIMEOUT_S}
    elif parsed.get_driver_name() in ("psycopg", "psycopg2"):
        settings = f"-c statement_timeout={_STATEMENT_TIMEOUT_S}s"
        if read_only:
            settings += " -c default_transaction_read_only=on"
        options["connect_args"] = {
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 1000 * _STATEMENT_TIMEOUT_S,
            "options": settings,
        }
    return options


def _read_only_url(url: str) -> str:
    file = sqlite_file(url)
    if file is None:
        return url
    scheme, _, _ = url.partition("://")
    return f"{scheme}:///file:{file.absolute()}?mode=ro&uri=true"


def _opened(open_storage: Callable[[], T]) -> T:
    try:
        return open_storage()
    except ImportError as error:
        raise ResultsError(
            "storage.study: the database's client is missing; for PostgreSQL, run"
            " pip install 'adaptune[postgresql]'"
        ) from error
    except Exception as error:  # each database has its own errors
        message = mask_secrets(str(error))
        raise ResultsError(f"storage.study: the database does not answer: {message}") from error
