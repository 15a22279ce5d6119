"""Every format of exports: that it computes what torch does, what int8 costs, how long it takes.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/converters.py RUN
    python benchmarks/converters.py RUN --formats onnx --subnets 5

The smallest, the largest and random subnets of a trained run (those of `--files` in place of
them), each as `supernet export --int8` writes, checks and times it, all formats whose packages are
here in one folder: so its files are timed in turn. Seconds are those from the word that a file is
being written to the word that it is being checked; a converter's own environment is made before.
Writes `benchmarks/results/converters_<hardware>_<date>.json`; runs that were not asked for are
kept from the file of the same day.
"""

import argparse
import importlib.metadata
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from records import add_hardware, result_path, write_result
from supernet.export.formats.litert import LiteRt
from supernet.export.registry import FORMATS

from supernet.errors import ExportError, MissingPackageError
from supernet.runs import Run
from supernet.space import (
    Genes,
    Space,
    SubnetFile,
    decode,
    largest,
    macs_of,
    sample,
    smallest,
    total_macs,
)
from supernet.workflow.export import export_subnet
from supernet.workflow.exported import ExportedFile, ExportRequest

PACKAGES = (
    "torch", "onnxruntime", "onnx", "openvino", "nncf", "executorch", "torchao", "ncnn", "pnnx",
    "ai-edge-litert", "coremltools",
)  # fmt: skip
HIDDEN = ("sensitivity", "notes", "operators", "data", "pixels", "output")
Figures = dict[str, Any]


def main() -> None:
    """Read the command line, export, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--subnets", type=int, default=1, help="how many, the smallest first")
    parser.add_argument("--files", nargs="+", type=Path, help="of subnets, in place of them")
    parser.add_argument("--data", help="images, where they are not at the place of the training")
    parser.add_argument("--seed", type=int, default=0)
    add_hardware(parser)
    given = parser.parse_args()
    run = Run(given.run)
    formats, missing = available(given.formats)
    path = result_path("converters", given.hardware)
    body: Figures = json.loads(path.read_text())["runs"] if path.exists() else {}
    rows: list[Figures] = []
    for file in given.files or chosen(run.space(), given.subnets, given.seed):
        rows.append(exported(run, file, formats, given.data))
        print(json.dumps(rows[-1]), flush=True)
        body[given.run.name] = {"subnets": rows, "missing": missing}
        write_result("converters", given.hardware, installed(), {"runs": body})
    print(path)


def installed() -> tuple[str, ...]:
    """Those of the converters and runtimes that are here."""
    there = {distribution.name for distribution in importlib.metadata.distributions()}
    return tuple(name for name in PACKAGES if name in there)


def available(names: list[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Formats that can be written here, and why the others cannot."""
    missing: dict[str, str] = {}
    for name in names:
        made = FORMATS[name].load()
        try:
            made.check()
            if isinstance(made, LiteRt):
                made.environment.python()
        except (MissingPackageError, ExportError) as error:
            missing[name] = str(error).splitlines()[0]
    return tuple(name for name in names if name not in missing), missing


def chosen(space: Space, count: int, seed: int) -> list[SubnetFile]:
    """The smallest, the largest, then random ones in the order of their multiply-adds."""
    ends: list[Genes] = [smallest(space), largest(space)][:count]
    others = sample(space, max(0, count - len(ends)), np.random.default_rng(seed))
    genes = np.concatenate([*ends, others[np.argsort(macs_of(space, others))]])
    return [SubnetFile.of(space, subnet) for subnet in decode(space, genes)]


def exported(
    run: Run, subnet: SubnetFile | Path, formats: tuple[str, ...], data: str | None
) -> Figures:
    """Figures of one subnet in all formats."""
    file = SubnetFile.load(subnet) if isinstance(subnet, Path) else subnet
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "subnet.json"
        file.save(path)
        request = ExportRequest(formats=formats, int8=True, data=data)
        outcome = export_subnet(path, run, request, output=Path(name) / "net", progress=clock)
    return {
        "resolution": file.subnet.resolution,
        "macs": total_macs(file.operators),
        "files": {made.path.name: figures(made, clock) for made in outcome.files},
        "failed": dict(outcome.failed),
    }


class Clock:
    """Notes when each step began."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    def __call__(self, done: int, total: int, text: str) -> None:
        """See `supernet.progress.Progress`."""
        del done, total
        self.began.setdefault(text, time.perf_counter())

    def seconds(self, name: str) -> float | None:
        """Of the writing of a file; None of one that was not checked."""
        ends = self.began.get(f"checking {name} against torch")
        return None if ends is None else ends - self.began[f"writing {name}"]


def figures(made: ExportedFile, clock: Clock) -> Figures:
    """What is kept of one file; points are those lost to torch on the same images."""
    check = made.verification
    facts = {key: value for key, value in made.as_dict().items() if key not in HIDDEN}
    lost = {"points_lost": check.torch_top1 - check.top1} if check else {}
    return {**facts, **lost, "seconds": clock.seconds(made.path.name)}


if __name__ == "__main__":
    main()
