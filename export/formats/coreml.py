"""CoreML packages: converted here, run on Apple's machines only."""

import json
from collections import Counter
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import torch
from supernet.export.apart import call_apart, sent
from supernet.export.contract import (
    Exporter,
    Images,
    InputSpec,
    OpenedModel,
    Precision,
    Source,
    Written,
)
from supernet.export.culprits import lacking
from supernet.export.quiet import quiet, reason
from supernet.export.sources import ONE_IMAGE, as_floats, exported, one_image
from supernet.export.staging import staged

from supernet.errors import ExportError, FileFormatError, MissingPackageError
from supernet.progress import Progress, silent

__all__ = ["CoreMl"]

_KEPT = "preprocessing"
_DEBUGGING = "executorch_debug_handle_mapping.json"  # of another runtime's tools
_HEADER = 64  # bytes before each tensor: a mark, its kind, its size, where it begins
_NOT_RUN = "converted only: it was not run, since CoreML runs on Apple's machines"


class CoreMl(Exporter):
    """A folder (``.mlpackage``) with a graph and its weights in fp32, for iOS 16 and newer."""

    name, title, suffix = "coreml", "CoreML", ".mlpackage"
    extra, needs = "coreml", ("coremltools",)
    runs_here = False

    def write(
        self,
        source: Source,
        path: Path,
        precision: Precision = "fp32",
        progress: Progress = silent,
    ) -> Written:
        """See `Exporter.write`."""
        del precision
        progress(0, 1, self.title)
        with staged(path) as folder:
            call_apart(self.title, _save, sent(source), folder / path.name)
        notes = [_NOT_RUN]
        if source.dynamic_batch:
            notes.append(ONE_IMAGE)
        if source.pixels:
            notes.append("CoreML reads pixels as floats from 0 to 255")
        facts = {"coremltools": version("coremltools"), "torch": torch.__version__}
        return Written(notes=tuple(notes), facts=facts)

    def open(self, path: Path, threads: int = 1) -> OpenedModel:
        """See `Exporter.open`; what it gives tells of the file, and cannot be called."""
        del threads
        if not path.is_dir():
            raise FileFormatError(f"{path}: no such folder")
        try:
            with quiet():
                import coremltools

                spec: Any = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec()
            (function,) = spec.mlProgram.functions.values()
            block = function.block_specializations[function.opset]
            told = json.loads(spec.description.metadata.userDefined.get(_KEPT, "{}"))
            _check_weights(block, path)
        except FileFormatError:
            raise
        except Exception as error:  # of any kind: its own, and those of protocol buffers
            raise FileFormatError(f"{path}: not a package of CoreML: {reason(error)}") from error
        return OpenedModel(
            runtime=f"coremltools {version('coremltools')}",
            input=_input_of(spec, path),
            call=_cannot,
            operators=partial(_kinds, block),
            preprocessing=told if isinstance(told, dict) else {},
        )


def _save(source: Source, path: Path) -> None:
    """Write a package. Called in a process of its own."""
    program = exported(as_floats(one_image(source)))
    try:
        with quiet():
            import coremltools

            model = coremltools.convert(
                program.run_decompositions({}),
                minimum_deployment_target=coremltools.target.iOS16,
                compute_precision=coremltools.precision.FLOAT32,
                skip_model_load=True,
            )
    except Exception as error:  # of any kind: its own, and those of what it calls
        why = lacking(str(error), source) or reason(error)
        raise ExportError(f"CoreML: the converter failed: {why}") from error
    model.user_defined_metadata[_KEPT] = json.dumps(dict(source.preprocessing))
    with quiet():
        model.save(str(path))
    (path / _DEBUGGING).unlink(missing_ok=True)


def _check_weights(block: Any, path: Path) -> None:
    """Refuse weights that end before the last tensor does; a header says how long each is."""
    starts = [
        value.blobFileValue.offset
        for step in block.operations
        for value in step.attributes.values()
        if value.HasField("blobFileValue")
    ]
    (file,) = path.rglob("weight.bin") if starts else (path,)
    if starts and file.stat().st_size < max(starts) + _HEADER:
        raise FileFormatError(f"{path}: {file.name} was cut off")
    for start in starts:
        with file.open("rb") as handle:
            handle.seek(start + 8)
            size, first = (int.from_bytes(handle.read(8), "little") for _ in range(2))
        if file.stat().st_size < first + size:
            raise FileFormatError(f"{path}: {file.name} was cut off")


def _input_of(spec: Any, path: Path) -> InputSpec:
    shapes = [tuple(one.type.multiArrayType.shape) for one in spec.description.input]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise FileFormatError(f"{path}: expected one input of images, found {shapes}")
    return InputSpec(shape=tuple(int(size) for size in shapes[0]))


def _cannot(images: Images) -> NoReturn:
    del images
    raise MissingPackageError("CoreML: runs on Apple's machines only")


def _kinds(block: Any) -> Counter[str]:
    return Counter(step.type for step in block.operations if step.type != "const")
