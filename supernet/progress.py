"""How long work tells whoever waits for it."""

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "silent"]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with what is done, what there is in all, and what is going on."""


def silent(done: int, total: int, text: str) -> None:
    """Tells nobody."""
