"""Files of `torch.export`, run by torch itself."""

import contextlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

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
from supernet.export.quiet import quiet, reason
from supernet.export.sources import exported
from torch import nn

from supernet.errors import FileFormatError
from supernet.files import write_bytes
from supernet.progress import Progress, silent

__all__ = ["TorchExport", "maps_on", "on_threads", "program_bytes", "run_on"]

_DTYPES = {torch.float32: "float32", torch.float16: "float16", torch.uint8: "uint8"}
_PREPROCESSING = "preprocessing.json"
_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


class TorchExport(Exporter):
    """A graph of ATen operators with its weights, for torch and for compilers that read it."""

    name, title, suffix = "torch-export", "torch.export", ".pt2"
    takes_maps = True

    def write(
        self,
        source: Source,
        path: Path,
        precision: Precision = "fp32",
        progress: Progress = silent,
    ) -> Written:
        """See `Exporter.write`."""
        del precision, progress
        write_bytes(path, call_apart(self.title, program_bytes, sent(source)))
        return Written(facts={"torch": torch.__version__})

    def open(self, path: Path, threads: int = 1) -> OpenedModel:
        """See `Exporter.open`."""
        extra = {_PREPROCESSING: ""}
        try:
            data = io.BytesIO(path.read_bytes())
            with quiet(), _nothing_executed():
                program = torch.export.load(data, extra_files=extra)
                network = program.module()
            preprocessing = json.loads(extra[_PREPROCESSING] or "{}")
        except OSError as error:
            raise FileFormatError(f"{path}: cannot be read: {error.strerror}") from error
        except Exception as error:  # of any kind: zip files, JSON and torch have their own
            raise FileFormatError(f"{path}: torch.export refuses it: {reason(error)}") from error
        return OpenedModel(
            runtime=f"torch {torch.__version__}",
            input=_input_of(program, path),
            call=partial(run_on, network, threads),
            maps=partial(maps_on, network, threads, preprocessing),
            operators=partial(_kinds, program),
            preprocessing=preprocessing,
        )


def program_bytes(source: Source) -> bytes:
    """A whole file. Called in a process of its own."""
    program, kept = exported(source), io.BytesIO()
    extra = {_PREPROCESSING: json.dumps(dict(source.preprocessing))}
    with quiet():
        torch.export.save(program, kept, extra_files=extra)
    return kept.getvalue()


def run_on(network: nn.Module, threads: int, images: Images) -> Logits:
    """The output of a torch network for images, of several the first."""
    with torch.inference_mode(), on_threads(threads):
        outputs = network(torch.from_numpy(images))
    found: Logits = (outputs if isinstance(outputs, torch.Tensor) else outputs[0]).numpy()
    return found


def maps_on(
    network: nn.Module, threads: int, preprocessing: Mapping[str, Any], images: Images
) -> dict[str, Logits]:
    """The outputs of a torch network for images, by the names that its file tells."""
    with torch.inference_mode(), on_threads(threads):
        outputs = network(torch.from_numpy(images))
    names = [one["name"] for one in preprocessing.get("features", ())]
    return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}


@contextlib.contextmanager
def on_threads(threads: int) -> Iterator[None]:
    """Torch on so many threads; 0 for as many as it has."""
    before = torch.get_num_threads()
    if threads in (0, before):
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _nothing_executed() -> Iterator[None]:
    """Refuse pickled objects, which could execute what a stranger wrote."""
    before = os.environ.get(_WEIGHTS_ONLY)
    os.environ[_WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_WEIGHTS_ONLY]
        else:
            os.environ[_WEIGHTS_ONLY] = before


def _input_of(program: torch.export.ExportedProgram, path: Path) -> InputSpec:
    names = program.graph_signature.user_inputs
    found = [node.meta["val"] for node in program.graph.nodes if node.name in names]
    return InputSpec.of_images(
        path,
        [
            (
                _DTYPES.get(value.dtype, str(value.dtype)),
                [size if isinstance(size, int) else None for size in value.shape],
            )
            for value in found
        ],
    )


def _kinds(program: torch.export.ExportedProgram) -> Counter[str]:
    targets: list[Any] = [node.target for node in program.graph.nodes if node.op == "call_function"]
    return Counter(getattr(target, "__name__", str(target)).split(".")[0] for target in targets)
