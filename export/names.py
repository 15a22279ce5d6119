"""Names in ONNX graphs: long ones are a tenth of a small file."""

from itertools import count

import onnx

__all__ = ["shorten"]


def shorten(graph: onnx.GraphProto, *, weights: bool = False) -> None:
    """Give what is between nodes short names, and the nodes themselves.

    Args:
        graph: changed in place; its inputs and outputs keep their names.
        weights: rename these, too.
    """
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return  # a graph within reads names of this one
    kept = {value.name for value in (*graph.input, *graph.output)}
    kept |= set() if weights else {tensor.name for tensor in graph.initializer}
    made = (name for node in graph.node for name in node.output)
    held = (tensor.name for tensor in graph.initializer)
    short: dict[str, str] = {}
    for letter, names in (("v", made), ("w", held)):
        old = [name for name in dict.fromkeys(names) if name and name not in kept]
        free = (name for number in count() if (name := f"{letter}{number}") not in kept)
        short |= dict(zip(old, free))
    for number, node in enumerate(graph.node):
        node.name = f"n{number}"
        for own in (node.input, node.output):
            own[:] = [short.get(name, name) for name in own]
    told = [value for value in graph.value_info if value.name in short]  # others are gone
    for value in (*told, *graph.initializer):
        value.name = short.get(value.name, value.name)
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in told]
    del graph.value_info[:]
    graph.value_info.extend(copies)
