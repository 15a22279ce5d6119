"""Exported files on another machine or runtime, such as aarch64: do they compute the same there?

    python benchmarks/other_machine.py --python "qemu-aarch64-static -L ROOT ROOT/usr/bin/python3"
    ... other_machine.py --python ... --folder runs/mine/export/subnet --spaces

`--python` is the command of a Python of that machine, which sees the same files and has
onnxruntime, NumPy and Pillow: here an emulated one. It may also be one of this machine with another
ONNX Runtime, such as the oldest that has opset 18 (1.14.0, for Python 3.7 to 3.10):

    python3.8 -m venv old; old/bin/python -m pip install onnxruntime==1.14.0 numpy pillow
    python benchmarks/other_machine.py --python old/bin/python --hardware onnxruntime1.14

Random subnets of spaces with random weights, whose batch norm statistics are those of real images,
are written as ONNX files: in fp32, and on integers with weights of 7 and of 8 bits (as `export
--int8`, without choosing how). They run on embedded images here and there: the largest difference
of a logit, as a share of the distance between the best and the worst logit of an image, and how
often another class is the best.
`--folder`: folders that `supernet export` wrote; their `predict.py --check` is run there, as a
stranger does.
Function alone: an emulated machine tells nothing of time.
Writes `benchmarks/results/other_machine_<hardware>_<date>.json`.
"""

import argparse
import json
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from records import add_hardware, write_result
from supernet.export import Source, exporter
from supernet.export.formats.onnx import open_onnx
from supernet.export.int8.graphs import prepared
from supernet.export.int8.quantised import quantised
from supernet.export.int8.ranges import images_of, measured_ranges
from torch import Tensor, nn

from export import real_images
from supernet.evaluate import recalibrate
from supernet.models import Supernet, extract
from supernet.space import Subnet, decode, load_space, sample

SPACES = (
    *("demo", "mobilenet_v3", "mobilenet_v3_int8", "efficientnet_lite0", "resnet50d"),
    *("mobilenet_v4", "mobilenet_v4_hybrid", "demo_cells"),
)
FILES = "fp32", "int8, weights of 7 bits", "int8, weights of 8 bits"
CALIBRATION = 64
PACKAGES = "torch", "onnxruntime"
INSTRUCTIONS = """
import json, pathlib, platform, sys
import numpy, onnxruntime
folder = pathlib.Path(sys.argv[1])
images = numpy.load(folder / "images.npy")
for path in sorted(folder.glob("*.onnx")):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    logits = [session.run(None, {name: image[None]})[0] for image in images]
    numpy.save(path.with_suffix(".npy"), numpy.concatenate(logits))
versions = {"onnxruntime": onnxruntime.__version__, "numpy": numpy.__version__}
print(json.dumps({"machine": platform.machine(), **versions}))
"""
Logits = npt.NDArray[np.float32]


def run_there(python: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command of the other machine's Python."""
    command = [*shlex.split(python), *map(str, arguments)]
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        raise SystemExit(f"--python {python}: {error.strerror}: {error.filename}") from None


def compared(name: str, python: str, given: argparse.Namespace) -> dict[str, Any]:
    """Random subnets of a space here and there; the worst of them."""
    space = load_space(name)
    torch.manual_seed(given.seed)
    supernet = Supernet(space)
    rows = []
    for subnet in decode(space, sample(space, given.subnets, np.random.default_rng(given.seed))):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(_subnet(supernet, subnet, Path(folder), python, given.images))
        print(name, json.dumps(rows[-1]), flush=True)
    worst = {
        file: {figure: max(row[file][figure] for row in rows) for figure in rows[0][file]}
        for file in FILES
    }
    return {"subnets": len(rows), "images": given.images, "there": rows[0]["there"], **worst}


def _subnet(
    supernet: Supernet, subnet: Subnet, folder: Path, python: str, count: int
) -> dict[str, Any]:
    images, _ = real_images(supernet.space, subnet.resolution, CALIBRATION + count)
    network = extract(supernet, subnet)
    recalibrate(network, [images[:CALIBRATION]])
    paths = written(network, folder, images[:CALIBRATION])
    tested = images[CALIBRATION:].numpy()
    np.save(folder / "images.npy", tested)
    done = run_there(python, "-c", INSTRUCTIONS, folder)
    if done.returncode:
        raise SystemExit(f"{python}: ended with {done.returncode}: {done.stderr[-2000:]}")
    here = {
        file: open_onnx(path).logits([image[None] for image in tested])
        for file, path in paths.items()
    }
    there = {file: np.load(path.with_suffix(".npy")) for file, path in paths.items()}
    found: dict[str, Any] = {"there": json.loads(done.stdout.splitlines()[-1])}
    for file in FILES:
        found[file] = {
            "here and there": difference(here[file], there[file]),
            "another class, percent": 100
            * float((here[file].argmax(axis=1) != there[file].argmax(axis=1)).mean()),
            "here and fp32": difference(here[file], here[FILES[0]]),
            "there and fp32": difference(there[file], here[FILES[0]]),
        }
    return found


def written(network: nn.Module, folder: Path, images: Tensor) -> dict[str, Path]:
    """A network in fp32, and on integers with weights of 7 and of 8 bits."""
    paths = {file: folder / f"{number}.onnx" for number, file in enumerate(FILES)}
    channels, size = images.shape[1], images.shape[-1]
    source = Source(network=network.eval(), in_channels=channels, resolution=size)
    exporter("onnx").write(source, paths[FILES[0]])
    model = prepared(onnx.load(paths[FILES[0]]))
    ranges = measured_ranges(model, images_of([images], 8), "minmax")
    for file, reduce_range in zip(FILES[1:], (True, False)):
        made = quantised(model, ranges, reduce_range=reduce_range)
        paths[file].write_bytes(made.SerializeToString())
    return paths


def difference(found: Logits, expected: Logits) -> float:
    """The largest of a logit, as a share of how far logits of an image lie apart."""
    apart = float(np.ptp(expected, axis=1).max())
    return float(np.abs(found - expected).max()) / apart


def checked(folder: Path, python: str) -> dict[str, Any]:
    """What `predict.py --check` says there."""
    done = run_there(python, folder / "predict.py", "--check")
    lines = [line for line in done.stdout.splitlines() if line]
    print(folder.name, done.returncode, *lines, done.stderr[-500:], sep="\n", flush=True)
    return {"exit code": done.returncode, "says": lines}


def main() -> None:
    """Run here and there, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--python", required=True, help="command of the other machine's Python")
    parser.add_argument("--spaces", nargs="*", default=SPACES)
    parser.add_argument("--folder", nargs="*", type=Path, default=[], help="exported folders")
    parser.add_argument("--subnets", type=int, default=2)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    add_hardware(parser, "aarch64")
    given = parser.parse_args()
    body: dict[str, Any] = {"folders": {}, "spaces": {}}
    for folder in given.folder:
        body["folders"][folder.name] = checked(folder, given.python)
        write_result("other_machine", given.hardware, PACKAGES, body)
    for name in given.spaces:
        body["spaces"][name] = compared(name, given.python, given)
        write_result("other_machine", given.hardware, PACKAGES, body)


if __name__ == "__main__":
    main()
