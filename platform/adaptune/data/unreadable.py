"""Stored images that cannot be read, all of which are reported together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptune.errors import DataError
from adaptune.text import escape_control

LISTED_ERRORS = 20


@dataclass(frozen=True, order=True)
class UnreadableImage:
    """An image that cannot be read or prepared.

    Attributes:
        name: name of the image in messages.
        reason: sentence that begins with the name.
    """

    name: str
    reason: str


class UnreadableImagesError(DataError):
    """Some images of a domain cannot be read or prepared.

    Args:
        images: all of them, at least one. The message lists the first ones.
    """

    def __init__(self, images: Sequence[UnreadableImage]) -> None:
        super().__init__(_list_reasons(images))
        self.images = tuple(images)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the images: the errors of workers travel to other processes."""
        return type(self), (self.images,)


def unreadable_image(name: str, error: DataError) -> UnreadableImage:
    """Return an image and the reason why it cannot be read.

    Args:
        error: error whose message may lack the name.
    """
    message = str(error)
    shown_name = escape_control(name)
    reason = message if shown_name in message else f"{shown_name}: {message}"
    return UnreadableImage(name, reason)


def _list_reasons(images: Sequence[UnreadableImage]) -> str:
    reasons = sorted(image.reason for image in images)
    if len(reasons) == 1:
        return reasons[0]
    lines = [f"{len(reasons)} images cannot be used:", *reasons[:LISTED_ERRORS]]
    if len(reasons) > LISTED_ERRORS:
        lines.append(f"and {len(reasons) - LISTED_ERRORS} more")
    return "\n  ".join(lines)
