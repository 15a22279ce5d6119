"""ONNX files, run in ONNX Runtime."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from supernet.export.apart import call_apart, sent
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
from supernet.export.direct import direct_onnx, drawn
from supernet.export.names import shorten
from supernet.export.onnx_versions import check_opset, lowest_runtime, to_oldest_ir
from supernet.export.traced import traced_onnx
from torch import nn

from supernet.errors import ExportError, FileFormatError, SupernetError
from supernet.files import atomic_path
from supernet.latency.kit.graph import OPSET
from supernet.progress import Progress, silent

__all__ = ["Onnx", "open_onnx", "to_onnx"]

_ERRORS_ONLY = 3
_NO_DOUBLES = "it reads float64, which ONNX Runtime does not compute: export it in float32"
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}


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
            model, written = _quantised(model, source, path, progress)
            shorten(model.graph, weights=True)
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


def onnx_model(source: Source, title: str = "ONNX") -> onnx.ModelProto:
    """The graph of a network in fp32, without metadata.

    Args:
        source: of the network.
        title: of what it is for, for messages.
    """
    opset = source.opset or OPSET
    check_opset(opset)
    own = replace(source, opset=opset)
    if drawn(own):
        return direct_onnx(own)
    model: onnx.ModelProto = call_apart(title, traced_onnx, sent(own))
    return model


def _quantised(
    model: onnx.ModelProto, source: Source, path: Path, progress: Progress
) -> tuple[onnx.ModelProto, Written]:
    """The graph on 8-bit integers.

    Raises:
        ExportError: ONNX Runtime does not quantise or run it.
    """
    from supernet.export.int8.quantising import quantise

    try:
        return quantise(model, source, progress)
    except Exception as error:  # its own kinds, which it does not export
        ours = isinstance(error, SupernetError | OSError)
        if ours and not isinstance(error, FileFormatError):
            raise
        last = " ".join(str(error).split())[-300:] or type(error).__name__
        raise ExportError(
            f"{path.name}: not to be had on 8-bit integers: {last}",
            hint="give a lower --opset" if _opset(model) > OPSET else "",
        ) from error


def _opset(model: onnx.ModelProto) -> int:
    return int(next(item.version for item in model.opset_import if not item.domain))


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
        raise FileFormatError(
            f"{name}: ONNX Runtime refuses it: {str(error)[:300]}",
            hint=_NO_DOUBLES if _reads_doubles(model) else "",
        ) from error
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


def _reads_doubles(model: Path | bytes) -> bool:
    try:
        graph = (
            onnx.load_from_string(model)
            if isinstance(model, bytes)
            else onnx.load(model, load_external_data=False)
        ).graph
    except (OSError, DecodeError):  # no graph at all
        return False
    return any(item.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE for item in graph.input)


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
        self._session, self._name = session, name
        self.input = InputSpec.of_images(name, list(zip(kinds, shapes)))
        self._key, self._outputs = inputs[0].name, [out.name for out in session.get_outputs()]

    def call(self, images: Images) -> Logits:
        """See `OpenedModel.call`."""
        found = self._session.run(self._outputs[:1], {self._key: images})[0]
        try:
            return np.asarray(found, np.float32).reshape(len(images), -1)
        except (TypeError, ValueError) as error:
            raise FileFormatError(
                f"{self._name}: its first output, {self._outputs[0]!r}, is not a row of numbers "
                "for each image"
            ) from error

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
