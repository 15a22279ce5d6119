"""How long work tells whoever waits for it."""

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["FailedWarning", "Progress", "note", "silent"]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with what is done, what there is in all, and what is going on; where there is nothing
to do in all, the text is a note for the user."""


class FailedWarning(RuntimeWarning):
    """A part of the work has failed, without which the rest goes on."""


def silent(done: int, total: int, text: str) -> None:
    """Tells nobody."""


def note(progress: Progress, text: str) -> None:
    """Tell something that a user should know; once for each text, where it is shown."""
    progress(0, 0, text)
