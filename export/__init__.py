"""From a subnet to a file that runs on its device, installed as `supernet.export`.

The names below are loaded when they are first used: formats are listed without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if __name__ != "supernet.export":
    raise ImportError(
        f"this folder is the package `supernet.export`, not {__name__!r}: "
        "install the project (pip install -e .) and import it under that name"
    )

if TYPE_CHECKING:
    from supernet.export.card import Card, model_card
    from supernet.export.contract import (
        Exporter,
        InputSpec,
        OpenedModel,
        Sample,
        Source,
        Written,
    )
    from supernet.export.formats.onnx import to_onnx
    from supernet.export.registry import FORMATS, exporter, exporter_of, format_of
    from supernet.export.verification import Verification, verify

__all__ = [
    "FORMATS",
    "Card",
    "Exporter",
    "InputSpec",
    "OpenedModel",
    "Sample",
    "Source",
    "Verification",
    "Written",
    "exporter",
    "exporter_of",
    "format_of",
    "model_card",
    "to_onnx",
    "verify",
]

_WHERE = {
    "FORMATS": "registry",
    "Exporter": "contract",
    "InputSpec": "contract",
    "OpenedModel": "contract",
    "Sample": "contract",
    "Source": "contract",
    "Verification": "verification",
    "Written": "contract",
    "exporter": "registry",
    "exporter_of": "registry",
    "format_of": "registry",
    "Card": "card",
    "model_card": "card",
    "to_onnx": "formats.onnx",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'supernet.export' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"supernet.export.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
