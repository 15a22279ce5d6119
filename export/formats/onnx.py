"""ONNX files, run in ONNX Runtime."""

import contextlib
import copy
import json
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import DecodeError
from supernet.export.contract import (
    Exporter,
    Images,
    InputSpec,
    Logits,
    OpenedModel,
    Precision,
    Source,
    Written,
)
from supernet.export.factors import lone_norms
from supernet.export.onnx_versions import lowest_of, lowest_runtime, to_oldest_ir
from supernet.export.sources import varying_sizes
from torch import nn

from supernet.errors import ConfigError, ExportError, FileFormatError
from supernet.files import atomic_path
from supernet.latency.kit.graph import OPSET
from supernet.progress import Progress, silent

__all__ = ["Onnx", "open_onnx", "to_onnx"]

_ERRORS_ONLY = 3
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class Onnx(Exporter):
    """ONNX, the weights inside; int8 by static quantisation (`supernet.export.int8`)."""

    name, title, suffix = "onnx", "ONNX", ".onnx"
    precisions = ("fp32", "int8")
    takes_maps = True

    def write(
        self,
        source: Source,
        path: Path,
        precision: Precision = "fp32",
        progress: Progress = silent,
    ) -> Written:
        """See `Exporter.write`."""
        model = onnx_model(source)
        written = Written()
        if precision == "int8":
            from supernet.export.int8.quantising import quantise

            model, written = quantise(model, source, progress)
        to_oldest_ir(model)
        runtime = {"opset": _opset(model), "lowest_onnxruntime": lowest_runtime(model)}
        written = replace(written, facts={**written.facts, **runtime})
        del model.metadata_props[:]  # the quantiser leaves its name there
        for key, value in source.preprocessing.items():
            model.metadata_props.add(key=key, value=json.dumps(value))
        onnx.checker.check_model(model, full_check=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(model.SerializeToString())
        return written

    def open(self, path: Path, threads: int = 1) -> OpenedModel:
        """See `Exporter.open`."""
        return open_onnx(path, threads)

    def parts(self, path: Path) -> list[Path]:
        """See `Exporter.parts`."""
        return [path, *(path.parent / name for name in sorted(_outside(path)))]


def to_onnx(
    network: nn.Module,
    path: Path,
    *,
    in_channels: int,
    resolution: int,
    metadata: Mapping[str, Any] | None = None,
    dynamic_batch: bool = False,
    opset: int = 0,
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
        opset: of the operators; 0 for the oldest that has all of them.

    Raises:
        ConfigError: an opset that cannot be written.
        ExportError: the exporter failed, or left batch norm in the graph.
        StorageError: the disk is full or refuses the write.
    """
    source = Source(
        network=network,
        in_channels=in_channels,
        resolution=resolution,
        preprocessing=metadata or {},
        dynamic_batch=dynamic_batch,
        opset=opset,
    )
    Onnx().write(source, path)
    return path


def onnx_model(source: Source) -> onnx.ModelProto:
    """The graph of a network in fp32, without metadata."""
    plain = copy.deepcopy(source.network).cpu().to(memory_format=torch.contiguous_format).eval()
    # the exporter takes a batch of 1 for a constant even where it is declared to vary
    shape = (2 if source.dynamic_batch else 1, *source.shape)
    images = torch.zeros(shape, dtype=torch.uint8 if source.pixels else torch.float32)
    opset = _checked_opset(source.opset or OPSET)
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
        last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ExportError(
            f"ONNX opset {opset}: torch's exporter failed: {last[0][:300]}"
        ) from error
    assert program is not None
    model = program.model_proto
    found = _opset(model)
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


def _checked_opset(opset: int) -> int:
    """`opset`, unless torch writes none so old, or the installed package knows none so new.

    Raises:
        ConfigError: names those that can be asked for.
    """
    newest = onnx.defs.onnx_opset_version()
    if not OPSET <= opset <= newest:
        raise ConfigError(
            f"opset: must be from {OPSET} to {newest}, found {opset}",
            hint=f"an ONNX Runtime from {lowest_of(OPSET)} on runs opset {OPSET}",
        )
    return opset


def _opset(model: onnx.ModelProto) -> int:
    return int(next(item.version for item in model.opset_import if not item.domain))


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


def open_onnx(model: Path | bytes, threads: int = 1) -> OpenedModel:
    """An ONNX file with one input, images, in ONNX Runtime on the CPU.

    Args:
        model: the file, or its bytes.
        threads: that it runs on; 0 for as many as there are.

    Raises:
        FileFormatError: damaged, or not a network that reads images.
    """
    name = "the model" if isinstance(model, bytes) else str(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    try:
        # by its path where it has one: weights may lie beside it
        data = model if isinstance(model, bytes) else str(model)
        if not isinstance(model, bytes):
            model.open("rb").close()
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise FileFormatError(f"{name}: cannot be read: {error.strerror}") from error
    except Exception as error:  # its own kinds, which it does not export
        if isinstance(model, Path):
            _check_weights(model)
        raise FileFormatError(f"{name}: ONNX Runtime refuses it: {str(error)[:300]}") from error
    run = _Session(session, name)
    return OpenedModel(
        runtime=f"onnxruntime {onnxruntime.__version__}",
        input=run.input,
        call=run.call,
        maps=run.maps,
        bind=run.bind,
        operators=partial(_executed, data),
        preprocessing=_metadata(session.get_modelmeta().custom_metadata_map),
    )


def _outside(path: Path) -> dict[str, int]:
    """Files of weights that a graph reads beside its own, and how many bytes of each."""
    found: dict[str, int] = {}
    try:
        tensors = onnx.load(path, load_external_data=False).graph.initializer
    except (OSError, DecodeError):  # no graph at all
        return found
    for tensor in tensors:
        told = {entry.key: entry.value for entry in tensor.external_data}
        if "location" in told:
            end = int(told.get("offset", 0)) + int(told.get("length", 0))
            found[told["location"]] = max(end, found.get(told["location"], 0))
    return found


def _check_weights(path: Path) -> None:
    """Refuse a graph whose weights beside it are not all there.

    Raises:
        FileFormatError: names the file, and how long it must be.
    """
    for name, needed in _outside(path).items():
        weights = path.parent / name
        found = weights.stat().st_size if weights.is_file() else -1
        if found < needed:
            state = "is not there" if found < 0 else f"has {found} bytes of {needed}"
            raise FileFormatError(
                f"{path}: {name} beside it {state}", hint="copy the whole folder of the export"
            )


class _Session:
    """A network that reads images.

    Args:
        session: of ONNX Runtime.
        name: of the file, for messages.
    """

    def __init__(self, session: Any, name: str) -> None:
        inputs = session.get_inputs()
        shapes = [[n if isinstance(n, int) else None for n in x.shape] for x in inputs]
        kinds = [_DTYPES.get(x.type, x.type) for x in inputs]
        self._session, self.input = session, InputSpec.of_images(name, list(zip(kinds, shapes)))
        self._key, self._outputs = inputs[0].name, [out.name for out in session.get_outputs()]

    def call(self, images: Images) -> Logits:
        """See `OpenedModel.call`."""
        found = self._session.run(self._outputs[:1], {self._key: images})[0]
        return np.asarray(found, np.float32).reshape(len(images), -1)

    def maps(self, images: Images) -> dict[str, Logits]:
        """See `OpenedModel.maps`."""
        return dict(zip(self._outputs, self._session.run(self._outputs, {self._key: images})))

    def bind(self, images: Images) -> Callable[[], None]:
        """See `OpenedModel.bind`."""
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._key, images)
        for name in self._outputs:
            binding.bind_output(name)

        def run() -> None:
            self._session.run_with_iobinding(binding)

        return run


def _metadata(found: Mapping[str, str]) -> dict[str, Any]:
    """Values are JSON in our files; other programs write plain text."""
    read: dict[str, Any] = {}
    for key, text in found.items():
        try:
            read[key] = json.loads(text)
        except ValueError:
            read[key] = text
    return read


def _executed(model: bytes | str) -> Counter[str]:
    """Kinds of operators after ONNX Runtime's optimiser, on this processor."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return Counter(
            node.op_type for node in onnx.load(path, load_external_data=False).graph.node
        )
