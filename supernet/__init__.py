"""Train one weight-sharing network once, take the best subnet for each device from it.

The names below are loaded when they are first used, so that importing the package
costs nothing; those that need torch import it only then.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from supernet.latency import LatencyTable
    from supernet.models import Supernet, extract
    from supernet.search.api import search
    from supernet.space import Subnet, SubnetFile, load_space
    from supernet.tune.api import tune

__all__ = [
    "LatencyTable",
    "Subnet",
    "SubnetFile",
    "Supernet",
    "__version__",
    "extract",
    "load_space",
    "search",
    "tune",
]

_WHERE = {
    "LatencyTable": "supernet.latency",
    "Subnet": "supernet.space",
    "SubnetFile": "supernet.space",
    "Supernet": "supernet.models",
    "extract": "supernet.models",
    "load_space": "supernet.space",
    "search": "supernet.search",
    "tune": "supernet.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'supernet' has no attribute {name!r}")
    room = importlib.import_module(_WHERE[name])
    value = room if name in ("search", "tune") else getattr(room, name)  # can be called
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
