"""OpenVINO's own files, run in OpenVINO on the CPU."""

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
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
from supernet.export.culprits import lacking
from supernet.export.quiet import quiet, reason
from supernet.export.staging import staged

from supernet.errors import ExportError, FileFormatError, MissingPackageError
from supernet.progress import Progress, silent

__all__ = ["OpenVino"]

_KEPT = ["supernet", "preprocessing"]  # where in the file
_WEIGHED = ("Convolution", "FullyConnected", "MatMul")  # layers that int8 is about
_DTYPES = {"f32": "float32", "f16": "float16", "u8": "uint8"}
_FLOATS = ("f32", "f16", "bf16")
_LITTLE = 1 << 20  # bytes: so much is left on a disk that is full
_HIDDEN = ("Input", "Output", "Const")
_MOVES = (*_HIDDEN, "Reorder", "Reshape", "Transpose")


class OpenVino(Exporter):
    """A graph (``.xml``) and its weights (``.bin``); int8 by NNCF after the training.

    Files keep fp32 weights (by default they are halved to fp16), and run in fp32: without a hint
    OpenVINO computes in bf16 where the processor can, with errors of 2e-3 to 7e-3.
    """

    name, title, suffix = "openvino", "OpenVINO IR", ".xml"
    extra, needs = "openvino", ("openvino",)
    precisions = ("fp32", "int8")

    def write(
        self,
        source: Source,
        path: Path,
        precision: Precision = "fp32",
        progress: Progress = silent,
    ) -> Written:
        """See `Exporter.write`."""
        progress(0, 1, f"{self.title}{', int8 by NNCF' if precision == 'int8' else ''}")
        with staged(path) as folder:
            return call_apart(self.title, _written, sent(source), folder / path.name, precision)

    def open(self, path: Path, threads: int = 1) -> OpenedModel:
        """See `Exporter.open`."""
        weights = path.with_suffix(".bin")
        for file in (path, weights):
            if not file.is_file():
                raise FileFormatError(f"{file}: no such file")
        try:
            compiled = _compiled(path, threads)
        except Exception as error:  # its own kinds, and those of XML
            raise FileFormatError(f"{path}: OpenVINO refuses it: {_why(error)}") from error
        spec = _input_of(compiled, path)
        request = compiled.create_infer_request()

        def call(images: Images) -> Logits:
            found = request.infer([images], share_inputs=True)[0]
            return np.array(found, np.float32).reshape(len(images), -1)

        return OpenedModel(
            runtime=f"openvino {_version()}",
            input=spec,
            call=call,
            operators=partial(_executed, compiled),
            preprocessing=_preprocessing(path),
        )

    def parts(self, path: Path) -> list[Path]:
        """See `Exporter.parts`."""
        return [path, path.with_suffix(".bin")]


def _written(source: Source, path: Path, precision: Precision) -> Written:
    """Called in a process of its own."""
    model = _model(source)
    layers = _weights_of(model)
    facts: dict[str, Any] = {"openvino": _version()}
    notes: tuple[str, ...] = ()
    if precision == "int8":
        model = _quantised(model, source)
        facts |= {"nncf": version("nncf"), "weights_bits": 7}
    model.set_rt_info(json.dumps(dict(source.preprocessing)), _KEPT)
    _save(model, path)
    if precision == "int8":
        found, notes = _islands(_compiled(path, 1), layers)
        facts |= found
    return Written(notes=notes, facts=facts)


def _save(model: Any, path: Path) -> None:
    """Write a model; of what its stream could not write it says nothing.

    Raises:
        OSError: it could not be written.
    """
    import openvino

    try:
        with quiet():
            openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        full = shutil.disk_usage(path.parent).free < _LITTLE
        number = errno.ENOSPC if full else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def _version() -> str:
    return version("openvino").split("-")[0]


def _model(source: Source) -> Any:
    import openvino
    from supernet.export.formats.onnx import onnx_model

    data = onnx_model(source).SerializeToString()
    try:
        with quiet():
            # bytes are read as ONNX when the second argument holds nothing
            return openvino.Core().read_model(data, b"")
    except Exception as error:  # its own kinds
        why = lacking(str(error), source) or _why(error)
        raise ExportError(f"OpenVINO IR: the converter failed: {why}") from error


def _quantised(model: Any, source: Source) -> Any:
    """The model with integers, whose weights take 7 of the 8 bits.

    Processors without VNNI add up pairs of products in 16 bits: with 8 bits in all layers but the
    first (the default) a small network fell from 85 to 28 % there, with 7 it kept its 85 %.
    Ranges are those that were seen; by default they are averages over images, which cut off
    a third of the largest outputs.
    """
    try:
        with quiet():
            import nncf
            from nncf.quantization.advanced_parameters import OverflowFix
            from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    except ImportError as error:
        raise MissingPackageError(
            f"OpenVINO IR: int8 needs the package nncf, which cannot be imported ({error})",
            hint="install it: pip install 'supernet[openvino]'",
        ) from error
    images = [part[None] for batch in source.calibration for part in batch.cpu().numpy()]
    if not images:
        raise ExportError("OpenVINO IR: int8 needs images to calibrate with, found none")
    try:
        with quiet():
            return nncf.quantize(
                model,
                nncf.Dataset(images),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(images),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    overflow_fix=OverflowFix.ENABLE,
                    activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
                ),
            )
    except Exception as error:  # its own kinds, and those of OpenVINO
        raise ExportError(f"OpenVINO IR: NNCF failed: {_why(error)}") from error


def _compiled(path: Path, threads: int) -> Any:
    """A file, compiled for latency; on one thread it computes on the calling one."""
    import openvino

    core = openvino.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    with quiet():
        return core.compile_model(core.read_model(path), "CPU", settings)


def _input_of(compiled: Any, path: Path) -> InputSpec:
    found = []
    for port in compiled.inputs:
        sizes = [size.get_length() if size.is_static else None for size in port.partial_shape]
        kind = port.get_element_type().to_string()
        found.append((_DTYPES.get(kind, kind), sizes))
    return InputSpec.of_images(path, found)


def _preprocessing(path: Path) -> Mapping[str, Any]:
    import openvino

    model = openvino.Core().read_model(path)
    if not model.has_rt_info(_KEPT):
        return {}
    try:
        found = json.loads(model.get_rt_info(_KEPT).astype(str))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _layers(compiled: Any) -> Sequence[tuple[str, str, str]]:
    """Kind, precision and name of what is executed, after OpenVINO's optimiser."""
    found = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        told = node.get_rt_info()
        kind, precision = (told[key].astype(str) for key in ("layerType", "runtimePrecision"))
        found.append((kind, precision, node.get_friendly_name()))
    return found


def _executed(compiled: Any) -> Counter[str]:
    """Kinds, with the numbers they compute with where these are no floats."""
    return Counter(
        kind if precision in _FLOATS else f"{kind} {precision}"
        for kind, precision, _ in _layers(compiled)
        if kind not in _HIDDEN
    )


def _weights_of(model: Any) -> dict[str, str | None]:
    """The layer of the network that each product comes from; None of two activations."""
    found: dict[str, str | None] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name().endswith(("Convolution", "MatMul")):
            source = node.input_value(1).get_node()
            while source.get_input_size():
                source = source.input_value(0).get_node()
            layer = source.get_friendly_name().removesuffix(".weight")
            weighed = source.get_type_name() == "Constant"
            found[node.get_friendly_name()] = layer if weighed else None
    return found


def _islands(
    compiled: Any, layers: Mapping[str, str | None]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Layers with weights that compute in float, and what there is to say of them.

    A layer that was quantised may be one, too: OpenVINO has no integer kernel of depthwise
    convolutions for processors without AVX-512.
    """
    executed = _layers(compiled)
    weighed = [
        (layers.get(name, name), precision)
        for kind, precision, name in executed
        if kind in _WEIGHED and layers.get(name, name) is not None
    ]
    names = [str(name) for name, precision in weighed if precision in _FLOATS]
    others = Counter(
        kind
        for kind, precision, name in executed
        if precision in _FLOATS
        and kind not in _MOVES
        and (kind not in _WEIGHED or layers.get(name, name) is None)
    )
    facts = {
        "float_operators": names,
        "layers": len(weighed),
        "other_float_operators": dict(others),
    }
    products = others["MatMul"]
    more = (f"{products} products of attention run in float on this processor",) * (products > 0)
    if not names:
        return facts, (f"all {len(weighed)} layers with weights compute with integers", *more)
    told = f"{len(names)} of {len(weighed)} layers with weights run in float on this processor"
    return facts, (f"{told}: {', '.join(names)}", *more)


def _why(error: Exception) -> str:
    return reason(error, ("Exception from", "Check '"))  # lines that name files of its source
