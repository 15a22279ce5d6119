"""ONNX files of plain networks, run in ONNX Runtime against torch."""

import contextlib
import copy
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn

from supernet.errors import FileFormatError
from supernet.files import atomic_path
from supernet.latency.kit.graph import OPSET

__all__ = ["Verification", "run_onnx", "to_onnx", "verify"]


def to_onnx(
    network: nn.Module,
    path: Path,
    *,
    in_channels: int,
    resolution: int,
    metadata: Mapping[str, Any] | None = None,
    dynamic_batch: bool = False,
) -> Path:
    """Write a plain network as one ONNX file, whole or not at all.

    The file holds its weights, has batch norm folded into the convolutions, an input
    ``images`` of shape ``(1, C, resolution, resolution)`` and an output ``logits``.

    Args:
        network: extracted and recalibrated (`supernet.evaluate.Evaluator.network`).
        path: of the file.
        in_channels: C.
        resolution: rows and columns of the input.
        metadata: kept in the file, values as JSON.
        dynamic_batch: let the first size of the input vary.

    Raises:
        FileFormatError: the exporter left batch norm in the graph.
        StorageError: the disk is full or refuses the write.
    """
    plain = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format).eval()
    # the exporter takes a batch of 1 for a constant even where it is declared to vary
    images = torch.zeros(2 if dynamic_batch else 1, in_channels, resolution, resolution)
    with _quiet():
        program = torch.onnx.export(
            plain,
            (images,),
            input_names=["images"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch")},) if dynamic_batch else None,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    left = sum(node.op_type == "BatchNormalization" for node in model.graph.node)
    if left:
        raise FileFormatError(f"{path}: the exporter left {left} batch norms in the graph")
    _strip(model)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    onnx.checker.check_model(model, full_check=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
    return path


def _strip(model: onnx.ModelProto) -> None:
    """Take out where each node came from: paths of this machine, a tenth of a small file."""
    graph = model.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    for part in (model, graph, *graph.node, *graph.initializer, *values):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What an ONNX file computes against what torch computes, on the same images."""

    images: int
    max_abs_diff: float
    """Largest absolute difference of any logit."""
    top1: float
    """Accuracy of the ONNX file, percent."""
    torch_top1: float
    """Accuracy of the torch network, percent."""


def run_onnx(path: Path, batches: Sequence[torch.Tensor]) -> npt.NDArray[np.float32]:
    """Logits of an ONNX file in ONNX Runtime on the CPU, shape ``(N, classes)``.

    Args:
        path: of the file.
        batches: normalised images, each ``(n, C, H, W)``.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    model_input = session.get_inputs()[0]
    step = model_input.shape[0] if isinstance(model_input.shape[0], int) else None
    rows = []
    for batch in batches:
        images = batch.contiguous().cpu().numpy()
        for start in range(0, len(images), step or len(images)):
            feed = {model_input.name: images[start : start + (step or len(images))]}
            rows.append(session.run(None, feed)[0])
    return np.concatenate(rows)


def verify(
    path: Path,
    network: nn.Module,
    batches: Sequence[torch.Tensor],
    labels: npt.NDArray[np.int64],
) -> Verification:
    """Compare an ONNX file with the network it was made from.

    Args:
        path: of the file.
        network: in eval mode.
        batches: normalised images, each ``(n, C, H, W)``.
        labels: their classes, shape ``(N,)``.
    """
    with torch.inference_mode():
        expected = torch.cat([network(batch).cpu() for batch in batches]).numpy()
    found = run_onnx(path, batches)
    return Verification(
        images=len(labels),
        max_abs_diff=float(np.abs(found - expected).max()),
        top1=100 * float((found.argmax(axis=1) == labels).mean()),
        torch_top1=100 * float((expected.argmax(axis=1) == labels).mean()),
    )
