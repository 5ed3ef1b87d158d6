"""The first unexpected error of the objects that Tune calls, kept until it can end the search."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Protocol, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., object])


class SearchFailure:
    """The error that ends a search.

    Tune catches an error at the end of a trial and trains the trial again, and it turns other
    errors into text. Therefore the error is kept here, and raised where Tune does not catch it.
    """

    error: Exception | None = None

    def check(self) -> None:
        """Raise the error if there is one."""
        if self.error is not None:
            raise self.error


class _Owner(Protocol):
    failure: SearchFailure


def ends_search(method: Method) -> Method:
    """Decorate a method of an object that has a `failure`, which keeps the method's first error."""

    @wraps(method)
    def call(owner: _Owner, *arguments: object, **options: object) -> object:
        owner.failure.check()  # nothing happens after an error
        try:
            return method(owner, *arguments, **options)
        except Exception as error:
            owner.failure.error = error
            raise

    return cast(Method, call)
