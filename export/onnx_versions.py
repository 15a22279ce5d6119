"""Which ONNX Runtime runs a file."""

import onnx
import onnxruntime

__all__ = ["lowest_of", "lowest_runtime", "to_oldest_ir"]

_FIRST = {
    7: "1.0", 12: "1.3", 13: "1.6", 14: "1.8", 15: "1.10", 16: "1.11", 17: "1.12", 18: "1.14",
    19: "1.15", 20: "1.17", 21: "1.18", 22: "1.21", 23: "1.23", 24: "1.24", 26: "1.25",
}  # fmt: skip
"""First version that has an opset, by the first such opset. Those from 1.15 on were tried, the
older ones are as their makers say."""


def to_oldest_ir(model: onnx.ModelProto) -> None:
    """Let the oldest runtimes that have a file's operators read it.

    They refuse files of a newer intermediate representation than their own, whatever is in them;
    torch's exporter writes the newest one.
    """
    model.ir_version = onnx.helper.find_min_ir_version_for(list(model.opset_import))


def lowest_runtime(model: onnx.ModelProto) -> str:
    """The lowest version of ONNX Runtime that has the operators of a file."""
    domains = {"", "ai.onnx"}
    return lowest_of(next(item.version for item in model.opset_import if item.domain in domains))


def lowest_of(opset: int) -> str:
    """The lowest version of ONNX Runtime that has an opset.

    For opsets that are newer than this list, the version that is installed.
    """
    if opset > max(_FIRST):
        return str(onnxruntime.__version__)
    return _FIRST[max(first for first in _FIRST if first <= opset)]
