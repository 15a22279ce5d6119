"""ExecuTorch programs, whose operators XNNPACK executes."""

import json
import os
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
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
from supernet.export.int8.telling import floats_told
from supernet.export.quiet import quiet, reason
from supernet.export.sources import ONE_IMAGE, example, exported, one_image, spelled_out
from supernet.export.xnnpack import executed, float_kinds

from supernet.errors import ExportError, FileFormatError
from supernet.files import write_bytes
from supernet.progress import Progress, silent

__all__ = ["ExecuTorch"]

_KEPT = "preprocessing"  # a method that gives it back
_DTYPES = {0: "uint8", 6: "float32"}  # as a program numbers them
_AT_ONCE = 32  # images: histograms of ranges take as long for one
_OPENED: WeakSet[Any] = WeakSet()  # programs in use
_MAGIC = slice(4, 8)  # where a program says that it is one


class ExecuTorch(Exporter):
    """A program (``.pte``) for phones and microcontrollers; int8 by PT2E after the training.

    Hard-swish stays one operator: XNNPACK has it, and taken apart it is much slower.
    """

    name, title, suffix = "executorch", "ExecuTorch", ".pte"
    extra, needs = "executorch", ("executorch", "torchao")
    precisions = ("fp32", "int8")

    def write(
        self,
        source: Source,
        path: Path,
        precision: Precision = "fp32",
        progress: Progress = silent,
    ) -> Written:
        """See `Exporter.write`."""
        progress(0, 1, f"{self.title}, {precision}: may take half a minute")
        data, islands = call_apart(self.title, _program, sent(source), precision)
        notes = [ONE_IMAGE] if source.dynamic_batch else []
        facts: dict[str, Any] = {"executorch": version("executorch"), "torch": torch.__version__}
        if precision == "int8":
            facts["torchao"] = version("torchao")
            facts["float_operators"] = islands
            notes.append(floats_told(islands))
        write_bytes(path, data)
        return Written(notes=tuple(notes), facts=facts)

    def open(self, path: Path, threads: int = 1) -> OpenedModel:
        """See `Exporter.open`."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FileFormatError(f"{path}: cannot be read: {error.strerror}") from error
        if not data[_MAGIC].startswith(b"ET"):
            raise FileFormatError(f"{path}: not a program of ExecuTorch")
        try:
            with quiet():
                from executorch.runtime import Runtime, Verification

                program = Runtime.get().load_program(
                    data, verification=Verification.InternalConsistency
                )
                _set_threads(threads or os.cpu_count() or 1)
                method = program.load_method("forward")
                _OPENED.add(program)
                preprocessing = _told(program)
        except Exception as error:  # its own kinds
            raise FileFormatError(f"{path}: ExecuTorch refuses it: {reason(error)}") from error
        return OpenedModel(
            runtime=f"executorch {version('executorch')}",
            input=_input_of(method, path),
            call=partial(_run, program),
            operators=partial(executed, data),
            preprocessing=preprocessing,
        )


def _program(source: Source, precision: Precision) -> tuple[bytes, dict[str, int]]:
    """A whole file, and what computes in float in it. Called in a process of its own."""
    fixed = spelled_out(one_image(source))
    program = _quantised(fixed) if precision == "int8" else exported(fixed)
    data = _lowered(program, source)
    return data, float_kinds(executed(data)) if precision == "int8" else {}


def _quantised(source: Source) -> torch.export.ExportedProgram:
    """The network with integers where XNNPACK's quantiser puts them, calibrated."""
    batches = [part for batch in source.calibration for part in torch.split(batch, _AT_ONCE)]
    if not batches:
        raise ExportError("ExecuTorch: int8 needs images to calibrate with, found none")
    try:
        with quiet(), torch.no_grad():
            from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
                XNNPACKQuantizer,
                get_symmetric_quantization_config,
            )
            from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

            config = get_symmetric_quantization_config(is_per_channel=True)
            quantiser = XNNPACKQuantizer().set_global(config)
            many = replace(source, dynamic_batch=True)
            prepared = prepare_pt2e(exported(many).module(), quantiser)
            for batch in batches:
                prepared(batch)
            # not of a calibration image: the program would demand the order of its memory
            return torch.export.export(convert_pt2e(prepared), (example(source),))
    except ExportError:
        raise
    except Exception as error:  # of any kind: its own, and those of what it calls
        raise ExportError(f"ExecuTorch: quantisation failed: {reason(error)}") from error


def _lowered(program: torch.export.ExportedProgram, source: Source) -> bytes:
    """A whole file."""
    told = json.dumps(dict(source.preprocessing)).encode()
    kept = torch.frombuffer(bytearray(told), dtype=torch.uint8)
    try:
        with quiet(), torch.no_grad():
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
                XnnpackPartitioner,
            )
            from executorch.exir import to_edge_transform_and_lower

            lowered = to_edge_transform_and_lower(
                program, partitioner=[XnnpackPartitioner()], constant_methods={_KEPT: kept}
            )
            data: bytes = lowered.to_executorch().buffer
    except Exception as error:  # of any kind: its own, and those of what it calls
        why = lacking(str(error), source) or reason(error)
        raise ExportError(f"ExecuTorch: the converter failed: {why}") from error
    return data


def _told(program: Any) -> dict[str, Any]:
    if _KEPT not in program.method_names:
        return {}
    (found,) = program.load_method(_KEPT).execute([])
    read = json.loads(found.numpy().tobytes())
    return read if isinstance(read, dict) else {}


def _input_of(method: Any, path: Path) -> InputSpec:
    about = method.metadata
    found = [about.input_tensor_meta(index) for index in range(about.num_inputs())]
    named = [(_DTYPES.get(one.dtype(), str(one.dtype())), one.sizes()) for one in found]
    return InputSpec.of_images(path, [(kind, list(sizes)) for kind, sizes in named])


def _run(program: Any, images: Images) -> Logits:
    """By the program, which keeps the data that its methods read."""
    method = program.load_method("forward")  # the one that was loaded
    # of one channel any strides are contiguous, but the runtime takes some for channels-last
    inputs = [torch.from_numpy(images.reshape(-1)).view(images.shape)]
    return np.array(method.execute(inputs)[0].numpy(), np.float32)


def _set_threads(threads: int) -> None:
    """Of all programs in this process, which keep the pool that they were loaded with.

    So it stays as it is while one of them is in use.
    """
    from executorch.extension.pybindings import portable_lib

    if not _OPENED and portable_lib._threadpool_get_thread_count() != threads:
        portable_lib._unsafe_reset_threadpool(threads)
