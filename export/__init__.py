"""From a subnet to a file that runs on its device, installed as `supernet.export`."""

if __name__ != "supernet.export":
    raise ImportError(
        f"this folder is the package `supernet.export`, not {__name__!r}: "
        "install the project (pip install -e .) and import it under that name"
    )

from supernet.export.card import model_card
from supernet.export.onnx import Verification, run_onnx, to_onnx, verify

__all__ = ["Verification", "model_card", "run_onnx", "to_onnx", "verify"]
