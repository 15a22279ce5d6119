"""Which operator a converter or a runtime lacks, and in which layer of the network it stands."""

import re
from collections.abc import Iterator, Sequence

import torch
from supernet.export.contract import Source
from supernet.export.frames import layer_of
from supernet.export.quiet import quiet
from supernet.export.sources import example, plain

__all__ = ["lacking", "missing"]

_NAMED = re.compile(
    r"""No\ ONNX\ function\ found\ for\ <OpOverload\(op='([\w.:]+)'  # torch's ONNX exporter
    |No\ conversion\ rule\ found\ for\ operations:\ ([\w., -]+)  # OpenVINO
    |Unsupported\ fx\ node\ \w+,\ kind\ (\w+)  # CoreML
    |type\ object\ 'Builder'\ has\ no\ attribute\ '(\w+)'  # CoreML, of what it has no word for
    |Operator\ ([\w.:]+)\ is\ not\ in\ Core\ ATen  # ExecuTorch
    |Lowering\ not\ found:\ ([\w.:]+)  # LiteRT
    |an\ implementation\ for\ (\w+)\(\d+\)\ node  # ONNX Runtime
    |layer\ ([\w.]+)\ not\ exists  # ncnn
    """,
    re.VERBOSE,
)
_IN_TORCH = re.compile(r"(?:aten|prims)[.:]+(\w+)")


def lacking(told: str, source: Source, layer: str = "") -> str:
    """Operators that an error names as missing, each with its layer; empty where it names none.

    Args:
        told: all that the tool said.
        source: of the network.
        layer: where it failed, if that is known.
    """
    groups = [text for match in _NAMED.findall(told) for text in match if text]
    names = [_own_name(part) for text in groups for part in text.split(",")]
    operators = [*dict.fromkeys(name for name in names if name)]
    return missing(operators, source, layer) if operators else ""


def missing(operators: Sequence[str], source: Source, layer: str = "") -> str:
    """A sentence on operators that a tool lacks, each with its layer where that is found.

    Args:
        operators: as the tool names them.
        source: of the network.
        layer: where it failed, if that is known.
    """
    places: dict[str, list[str]] = {} if layer else _places(source)
    shown = []
    for operator in operators:
        layers = [layer] if layer else places.get(_folded(_own_name(operator)), [])
        where = f" (in layer {', '.join(layers)})" if layers else ""
        shown.append(operator + where)
    return f"it has no operator {', '.join(shown)}"


def _own_name(told: str) -> str:
    """Without what a tool puts around the name of an operator: ``torch._ops.aten.det.default``."""
    inner = _IN_TORCH.search(told)
    return inner[1] if inner else re.sub(r"-\d+$", "", told.strip()).rpartition(".")[2]


def _folded(name: str) -> str:
    """As names of an operator are compared: those of ATen and of ONNX differ by little."""
    return name.lower().replace("_", "")


def _places(source: Source) -> dict[str, list[str]]:
    """Layers of each operator, by its folded names in torch and in ONNX."""
    found: dict[str, list[str]] = {}
    for name, layer in (*_in_torch(source), *_in_onnx(source)):
        layers = found.setdefault(_folded(name), [])
        if layer and layer not in layers:
            layers.append(layer)
    return found


def _in_torch(source: Source) -> Iterator[tuple[str, str]]:
    """Before and after composite operators are taken apart."""
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(plain(source), (example(source),))
            programs = (program, program.run_decompositions())
    except Exception:  # noqa: BLE001  # of any kind; then the operator is told alone
        return
    for one in programs:
        for node in one.graph.nodes:
            if node.op == "call_function":
                yield _own_name(str(node.target)), layer_of(node)


def _in_onnx(source: Source) -> Iterator[tuple[str, str]]:
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                plain(source), (example(source),), dynamo=True, verbose=False, optimize=False
            )
    except Exception:  # noqa: BLE001  # of any kind, as above
        return
    assert program is not None
    for node in program.model.graph:
        scopes = re.findall(r"'([^']*)'", node.metadata_props.get("pkg.torch.onnx.name_scopes", ""))
        yield node.op_type, scopes[-2] if len(scopes) > 1 else ""
