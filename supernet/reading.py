"""How the picture files of a data set become pixels: found once, kept in the run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

__all__ = ["FRESH", "Fit", "Reading", "reading_told"]

Fit: TypeAlias = Literal["crop", "pad", "squash"]

_PAIR = ("black", "white")
_MOST = 1e12  # of any value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How picture files become pixels."""

    fit: Fit = "crop"
    """How a picture becomes a square: by its centre, by black around it, out of proportion."""
    integers: tuple[float, ...] = ()
    """Black and white of integers of more than 8 bits; each picture's own when empty."""
    floats: tuple[float, ...] = ()
    """Likewise, of floats."""
    whole: bool = False
    """Whether what lies beside the central square is kept, for training to see."""
    skip_broken: bool = False
    """Whether files that cannot be decoded are left out; else they are refused."""
    left_out: tuple[str, ...] = ()
    """Files that were, relative to the data folder."""
    looked: bool = False
    """Whether all of this was found by a look at the files, and holds from now on."""

    @property
    def levels(self) -> dict[str, tuple[float, ...]]:
        """Black and white by the kind of values, as `supernet.data.pictures` takes them."""
        given = {"integer": self.integers, "float": self.floats}
        return {kind: levels for kind, levels in given.items() if levels}

    @property
    def elsewhere(self) -> "Reading":
        """The same of other files, of which none are left out."""
        return replace(self, left_out=(), skip_broken=False)


FRESH = Reading()
"""Of a data set that was not looked at yet."""


def reading_told(facts: Mapping[str, Any], otherwise: Reading) -> Reading:
    """How an exported file says that pictures are read for it.

    Args:
        facts: those in the file; other programs' may mean something else by these words.
        otherwise: where it does not say so.
    """
    told_fit, levels = facts.get("fit"), facts.get("levels")
    fit: Fit | None = next((fit for fit in get_args(Fit) if fit == told_fit), None)
    if fit is None or not isinstance(levels, dict):
        return otherwise
    told: dict[str, tuple[float, ...]] = {}
    for kind, pair in levels.items():
        numbers = isinstance(pair, list) and all(type(value) in (int, float) for value in pair)
        if not numbers or len(pair) != len(_PAIR) or not -_MOST < pair[0] < pair[1] < _MOST:
            return otherwise
        told[kind] = tuple(map(float, pair))
    return replace(
        otherwise,
        fit=fit,
        integers=told.get("integer", ()),
        floats=told.get("float", ()),
        looked=otherwise.looked or bool(told),
    )
