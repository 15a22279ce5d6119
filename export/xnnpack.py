"""What a program of ExecuTorch executes, read out of the program itself."""

import json
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from supernet.export.quiet import quiet

__all__ = ["executed", "float_kinds"]

_INTEGER = " int8"
_DATA_ONLY = ("Convert", "StaticTranspose", "StaticReshape", "StaticConstantPad", "Copy")


def executed(data: bytes) -> Counter[str]:
    """Kinds of operators; those that compute with integers end in ``int8``.

    What XNNPACK executes is named as there; kernels outside of it as torch names them
    (``aten::softmax.out``).

    Args:
        data: of a whole file.
    """
    with quiet():
        from executorch.exir._serialize._program import deserialize_pte_binary

        program: Any = deserialize_pte_binary(data).program
    found: Counter[str] = Counter()
    for plan in program.execution_plan:
        if plan.name != "forward":
            continue
        for chain in plan.chains:
            for step in chain.instructions:
                kernel = type(step.instr_args).__name__
                if kernel == "KernelCall":
                    operator = plan.operators[step.instr_args.op_index]
                    found[f"{operator.name}.{operator.overload}".rstrip(".")] += 1
        for delegate in plan.delegates:
            blob = program.backend_delegate_data[delegate.processed.index].data
            found += _graph_kinds(bytes(blob))
    return found


def float_kinds(found: Counter[str]) -> dict[str, int]:
    """Those operators that compute in float, without those that only move numbers."""
    return {
        kind: count
        for kind, count in found.items()
        if not kind.endswith(_INTEGER) and kind not in _DATA_ONLY
    }


def _graph_kinds(blob: bytes) -> Counter[str]:
    """Kinds in one graph of XNNPACK."""
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader

    length = XNNHeader.EXPECTED_LENGTH
    header = XNNHeader.from_bytes(blob[:length])
    first = header.flatbuffer_offset
    graph = _as_json(blob[first : first + header.flatbuffer_size])
    integers = {
        _tensor(value)["id_out"]
        for value in graph["xvalues"]
        if value["xvalue_union_type"] == "XNNQuantizedTensorValue"
    }
    found: Counter[str] = Counter()
    for node in graph["xnodes"]:
        kind = node["xnode_union_type"].removeprefix("XNN")
        quantised = kind != "Convert" and node["xnode_union"].get("output_id", 0) in integers
        found[kind + _INTEGER * quantised] += 1
    return found


def _tensor(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value["xvalue_union"]["tensor_value"]
    return {"id_out": 0} | found  # what is 0 is left out


def _as_json(graph: bytes) -> Any:
    from executorch.backends.xnnpack.serialization import xnnpack_graph_serialize
    from executorch.exir._serialize import _flatbuffer

    with TemporaryDirectory() as folder:
        schema, data = Path(folder) / "schema.fbs", Path(folder) / "graph.bin"
        schema.write_bytes(xnnpack_graph_serialize._get_schema_bytes())
        data.write_bytes(graph)
        with quiet():
            _flatbuffer._flatc_decompile(folder, str(schema), str(data), ["--raw-binary"])
        text = (Path(folder) / "graph.json").read_text(encoding="utf-8")
    return json.loads(re.sub(r"(?<=: )-?(inf|nan)\b", "0", text))  # of limits that are none
