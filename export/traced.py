"""ONNX graphs of any network, by torch's exporter."""

import contextlib
import copy
import logging
import re
import warnings
from collections.abc import Iterator

import onnx
import torch
from supernet.export.contract import Source
from supernet.export.culprits import lacking
from supernet.export.factors import lone_norms
from supernet.export.frames import failed_layer
from supernet.export.names import shorten
from supernet.export.quiet import reason
from supernet.export.sources import varying_sizes

from supernet.errors import ExportError

__all__ = ["traced_onnx"]


def traced_onnx(source: Source) -> onnx.ModelProto:
    """The graph of a network in fp32, without metadata, in the opset that it names.

    Raises:
        ExportError: the exporter failed, wrote another opset, or left batch norm in the graph.
    """
    plain = copy.deepcopy(source.network).cpu().to(memory_format=torch.contiguous_format).eval()
    # the exporter takes a batch of 1 for a constant even where it is declared to vary
    shape = (2 if source.dynamic_batch else 1, *source.shape)
    images = torch.zeros(shape, dtype=torch.uint8 if source.pixels else torch.float32)
    opset = source.opset
    try:
        with _quiet():
            program = torch.onnx.export(
                plain,
                (images,),
                input_names=["images"],
                output_names=list(source.outputs) or [source.preprocessing.get("output", "logits")],
                opset_version=opset,
                dynamic_shapes=varying_sizes(source),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # of any kind: the exporter's own, and those of what it calls
        layer = failed_layer(error, plain)
        why = lacking(str(error), source, layer)
        where = f" in layer {layer}" if layer and not why else ""
        raise ExportError(
            f"ONNX opset {opset}: torch's exporter failed{where}: {why or _first_cause(error)}"
        ) from error
    assert program is not None
    model = program.model_proto
    found = next(item.version for item in model.opset_import if not item.domain)
    if found != opset:
        raise ExportError(
            f"opset: torch's exporter wrote {found} where {opset} was asked for",
            hint=f"operators of this network cannot be written in {opset}",
        )
    left = sum(node.op_type == "BatchNormalization" for node in model.graph.node)
    left -= len(lone_norms(plain))
    if left > 0:
        raise ExportError(f"torch's exporter left {left} batch norms in the graph")
    _strip(model)
    return model


def _first_cause(error: Exception) -> str:
    """One line; the exporter puts a page of advice before it."""
    summed = re.findall(r"<class '[\w.]+'>: (.+)", str(error))
    return summed[0][:300] if summed else reason(error)


def _strip(model: onnx.ModelProto) -> None:
    """Take out where each node came from: paths of this machine, a tenth of a small file."""
    graph = model.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    for part in (model, graph, *graph.node, *graph.initializer, *values):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    shorten(graph)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on its own inner workings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
