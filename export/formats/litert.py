"""LiteRT files, made by a converter in an environment of its own."""

import io
import json
import os
import zipfile
from collections import Counter
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from supernet.export.apart import call_apart, sent
from supernet.export.commands import run_converter
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
from supernet.export.environment import Environment
from supernet.export.formats.torch_export import program_bytes
from supernet.export.int8.telling import floats_told
from supernet.export.quiet import quiet, reason
from supernet.export.sources import ONE_IMAGE, one_image, spelled_out

from supernet.errors import ExportError, FileFormatError
from supernet.files import atomic_path
from supernet.progress import Progress, silent

__all__ = ["LiteRt"]

_CONVERTER = Path(__file__).parents[1] / "litert_convert.py"
_LIMIT_S = 1800.0
_MAGIC = b"TFL3"
_KEPT = "preprocessing.json"
_INTEGER = " int8"
_DATA_ONLY = ("QUANTIZE", "DEQUANTIZE", "TRANSPOSE", "RESHAPE", "CAST", "PAD")


class LiteRt(Exporter):
    """A graph with its weights (``.tflite``), images as ``(1, H, W, C)``; int8 after the training.

    The preprocessing lies in an archive behind the graph, where such files keep what belongs to
    them.
    """

    name, title, suffix = "litert", "LiteRT", ".tflite"
    extra, needs = "litert", ("ai_edge_litert",)
    precisions = ("fp32", "int8")

    environment = Environment(
        name="litert-torch",
        requirements=(
            "litert-torch==0.10.0",
            "ai-edge-quantizer==0.10.0",
            "ai-edge-litert==2.3.0",
        ),
    )

    def write(
        self,
        source: Source,
        path: Path,
        precision: Precision = "fp32",
        progress: Progress = silent,
    ) -> Written:
        """See `Exporter.write`."""
        if precision == "int8" and not source.calibration:
            raise ExportError("LiteRT: int8 needs images to calibrate with, found none")
        python = self.environment.python(progress)
        progress(0, 1, f"{self.title}, {precision}: may take a minute")
        with TemporaryDirectory() as made:
            data = _converted(python, source, precision, Path(made))
        kept = io.BytesIO(data)
        kept.seek(0, io.SEEK_END)
        with zipfile.ZipFile(kept, "a") as archive:
            archive.writestr(_KEPT, json.dumps(dict(source.preprocessing)))
        with atomic_path(path) as temporary:
            temporary.write_bytes(kept.getvalue())
        notes = [f"converted by {self.environment.requirements[0]} in an environment of its own"]
        facts: dict[str, Any] = dict(_pairs(self.environment)) | {"torch": torch.__version__}
        if source.dynamic_batch:
            notes.append(ONE_IMAGE)
        if precision == "int8":
            facts["float_operators"] = _float_kinds(_executed(data))
            notes.append(floats_told(facts["float_operators"]))
        return Written(notes=tuple(notes), facts=facts)

    def open(self, path: Path, threads: int = 1) -> OpenedModel:
        """See `Exporter.open`."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FileFormatError(f"{path}: cannot be read: {error.strerror}") from error
        if data[4:8] != _MAGIC:
            raise FileFormatError(f"{path}: not a file of LiteRT")
        try:
            interpreter = _interpreter(data, threads or os.cpu_count() or 1)
            preprocessing = _told(data)
        except Exception as error:  # its own kinds, and those of an archive
            raise FileFormatError(f"{path}: LiteRT refuses it: {reason(error)}") from error
        return OpenedModel(
            runtime=f"ai-edge-litert {version('ai-edge-litert')}",
            input=_input_of(interpreter, path),
            call=partial(_run, interpreter),
            operators=partial(_executed, data),
            preprocessing=preprocessing,
        )


def _pairs(environment: Environment) -> list[tuple[str, str]]:
    return [
        (name, number)
        for name, _, number in (one.partition("==") for one in environment.requirements)
    ]


def _converted(python: Path, source: Source, precision: Precision, folder: Path) -> bytes:
    """A file's content, without what lies behind it."""
    program, output, calibration = (folder / name for name in ("a.pt2", "a.tflite", "a.npy"))
    program.write_bytes(call_apart("LiteRT", _program, sent(source)))
    if precision == "int8":
        batches = [batch.cpu().permute(0, 2, 3, 1).numpy() for batch in source.calibration]
        np.save(calibration, np.concatenate(batches))
    asked = {
        "program": str(program),
        "output": str(output),
        "shape": [1, *source.shape],
        "pixels": source.pixels,
        "calibration": str(calibration) if precision == "int8" else "",
    }
    told = folder / "asked.json"
    told.write_text(json.dumps(asked), encoding="utf-8")
    # -P: modules beside the script must not hide those of the environment
    command = [str(python), "-P", "-W", "ignore", str(_CONVERTER), str(told)]
    try:
        run_converter(command, title="LiteRT", folder=folder, limit_s=_LIMIT_S)
    except ExportError as error:
        why = lacking(str(error), source)
        if not why:
            raise
        raise ExportError(f"LiteRT: the converter failed: {why}") from error
    if not output.is_file():
        raise ExportError("LiteRT: the converter ended well and wrote no file")
    return output.read_bytes()


def _program(source: Source) -> bytes:
    """What the converter reads. Called in a process of its own."""
    return program_bytes(spelled_out(one_image(source)))


def _interpreter(data: bytes, threads: int = 1, *, plain: bool = False) -> Any:
    with quiet():
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if plain else OpResolverType.AUTO
        made = Interpreter(
            model_content=data, num_threads=threads, experimental_op_resolver_type=kind
        )
        made.allocate_tensors()
    return made


def _input_of(interpreter: Any, path: Path) -> InputSpec:
    inputs = interpreter.get_input_details()
    found = [(one["dtype"].__name__, one["shape"].tolist()) for one in inputs]
    return InputSpec.of_images(path, found, usual="NHWC")


def _told(data: bytes) -> dict[str, Any]:
    kept = io.BytesIO(data)
    if not zipfile.is_zipfile(kept):
        return {}
    with zipfile.ZipFile(kept) as archive:
        found = json.loads(archive.read(_KEPT)) if _KEPT in archive.namelist() else {}
    return found if isinstance(found, dict) else {}


def _run(interpreter: Any, images: Images) -> Logits:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return np.array(found, np.float32).reshape(len(images), -1)


def _executed(data: bytes) -> Counter[str]:
    """Kinds in the graph; those that give integers end in ``int8``."""
    interpreter = _interpreter(data, plain=True)
    kinds = {one["index"]: np.dtype(one["dtype"]).name for one in interpreter.get_tensor_details()}
    return Counter(
        step["op_name"] + _INTEGER * (kinds[step["outputs"][0]] == "int8")
        for step in interpreter._get_ops_details()
    )


def _float_kinds(found: Counter[str]) -> dict[str, int]:
    """Those that compute in float, without those that only move numbers."""
    return {
        kind: count
        for kind, count in found.items()
        if not kind.endswith(_INTEGER) and kind not in _DATA_ONLY
    }
