"""How long work tells whoever waits for it."""

import logging
import os
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "note", "silent"]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with what is done, what there is in all, and what is going on."""

_LOGGER = logging.getLogger("supernet")


def silent(done: int, total: int, text: str) -> None:
    """Tells nobody."""


def note(text: str) -> None:
    """Tell one line that somebody should read: on stderr, unless Python's logging says otherwise.

    Of several processes on a machine the first tells it.
    """
    if os.environ.get("LOCAL_RANK", "0") == "0":
        _LOGGER.warning("%s", text)
