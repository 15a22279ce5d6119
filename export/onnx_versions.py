"""Which ONNX Runtime runs a file."""

import functools

import onnx
import onnxruntime
from onnx import TensorProto, helper

from supernet.errors import ConfigError
from supernet.latency.kit.graph import OPSET

__all__ = ["check_opset", "lowest_of", "lowest_runtime", "newest_opset", "to_oldest_ir"]

_FATAL_ONLY = 4

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


def check_opset(opset: int, *, int8: bool = False) -> None:
    """Refuse an opset that we do not write, or that does not run here.

    Args:
        opset: of the operators.
        int8: files on 8-bit integers are wanted, too.

    Raises:
        ConfigError: names those that can be asked for.
    """
    if opset == OPSET:  # nothing is to be tried
        return
    newest = newest_opset(int8=int8)
    if not OPSET <= opset <= newest:
        kind = " for 8-bit integers" if int8 and newest < newest_opset() else ""
        raise ConfigError(
            f"opset: must be from {OPSET} to {newest}{kind}, found {opset}",
            hint=f"an ONNX Runtime from {lowest_of(OPSET)} on runs opset {OPSET}; the one that is "
            f"installed, {onnxruntime.__version__}, up to {newest}{kind}",
        )


@functools.cache
def newest_opset(*, int8: bool = False) -> int:
    """The newest opset that the installed packages write and run.

    ONNX Runtime loads files of opsets that it has in part: integers came later than floats.
    """
    newest: int = onnx.defs.onnx_opset_version()
    return next((opset for opset in range(newest, OPSET, -1) if _runs(opset, int8=int8)), OPSET)


def _runs(opset: int, *, int8: bool) -> bool:
    """Whether it loads the smallest of graphs."""
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    if int8:
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["integers"]),
            helper.make_node("DequantizeLinear", ["integers", "scale", "zero"], ["y"]),
        ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("zero", TensorProto.UINT8, [], [0]),
    ]
    graph = helper.make_graph(nodes, "probe", ends[:1], ends[1:], constants[: 2 * int8])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    to_oldest_ir(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # noqa: BLE001  # its own kinds, which it does not export
        return False
    return True
