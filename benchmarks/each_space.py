"""What each space shows: its table here, a training, a kill -9, a search, its extracted subnets.

    python benchmarks/each_space.py --spaces mobilenet_v4 mobilenet_v4_hybrid nasnet_cifar

All by the command line, as a user has it, on some of the embedded images written as PNG files,
at `--sizes` (cells: their own): `latency measure` and its error on held-out networks; `train` by
the recipe `sandwich`, twice: once to its end, once killed by SIGKILL when its first epoch is
kept, then resumed: are both the same, bit for bit? `search` within a limit between the smallest
and the largest subnet, its finalists measured; what is found as an ONNX file, held against torch
on test images. Then, in the trained supernet, random subnets extracted and active, as in
evaluation and as in training (batch norm of the batch; in double precision): the largest
difference, as a share of the largest logit where that is above 1; their multiply-adds, and what
torch's own counter says of some.

Rows are kept in `--work`: the same command goes on. Tables come first: leave the machine quiet.
Writes `benchmarks/results/each_space_<hardware>_<date>.json`.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from records import add_hardware, write_result
from resumable import Row, Rows
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from supernet.data import load_fashion_mnist
from supernet.models import Supernet, extract
from supernet.runs import Run
from supernet.space import Subnet, decode, load_space, macs_of, sample, save_space

CLASSES = 10
SPACES = ("mobilenet_v4", "mobilenet_v4_hybrid", "nasnet_cifar", "darts_cifar", "demo_cells")
COUNTED = 10  # subnets, by torch
WEIGHTS = "checkpoints/*/*.safetensors"
PLACES = ("table", "run", "files")
PARTS = ("table", "trained", "searched", "exported", "extracted")  # tables first: while it is quiet
FILE = ("images", "max_abs_diff", "largest", "agreement", "rounding")
SETTINGS = ("sizes", "images", "epochs", "batch", "pairs", "subnets")


def told(*arguments: str) -> dict[str, Any]:
    """What a command says with ``--json``, but for where its files are."""
    command = [sys.executable, "-m", "supernet", *arguments, "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"supernet {' '.join(arguments)}\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {key: value for key, value in found.items() if key not in PLACES}


def written_images(folder: Path, count: int) -> Path:
    """The first embedded images as class folders: `count` to train with, a fifth to test."""
    dataset = load_fashion_mnist()
    for split, images, number in (
        ("train", dataset.train, count),
        ("val", dataset.test, count // 5),
    ):
        pixels, labels = images.pixels(slice(0, number)), images.labels[:number]
        for place, (image, label) in enumerate(zip(pixels, labels.tolist())):
            path = folder / split / f"class{label}" / f"{place}.png"
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.squeeze()).save(path)
    return folder


def written_space(name: str, sizes: list[int], folder: Path) -> Path:
    """A space for these images."""
    space = load_space(name)
    own = space.resolutions if space.cells else tuple(sizes)
    path = folder / "space.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    save_space(replace(space, resolutions=own, num_classes=CLASSES, in_channels=1), path)
    return path


class Walk:
    """A space on its way through all commands."""

    def __init__(self, name: str, given: argparse.Namespace, images: Path) -> None:
        self._folder: Path = given.work / name
        self._space = written_space(name, given.sizes, self._folder)
        self._table = self._folder / "table.json"
        self._whole, self._killed = self._folder / "whole", self._folder / "killed"
        self._given, self._images = given, images

    def table(self) -> Row:
        """Of this machine, and how wrong it is."""
        return told("latency", "measure", "--space", str(self._space), "-o", str(self._table))

    def trained(self) -> Row:
        """To its end, and killed and resumed."""
        found = told(*self._training(self._whole))
        command = [sys.executable, "-m", "supernet", *self._training(self._killed)]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
            while process.poll() is None and not list(self._killed.glob(WEIGHTS)):
                time.sleep(0.05)
            if process.poll() is not None:
                raise SystemExit(f"{self._killed}: ended before it was killed")
            process.send_signal(signal.SIGKILL)
        kept = len(list(self._killed.glob(WEIGHTS)))
        told("train", "--resume", "--run", str(self._killed))
        return {
            "phases": found["phases"],
            "loss": [record["loss"] for record in Run(self._whole).metrics()],
            "checkpoints when killed": kept,
            "bit for bit": same_files(self._whole, self._killed),
        }

    def _training(self, run: Path) -> list[str]:
        options = {
            "--space": self._space,
            "--recipe": "sandwich",
            "--data": self._images,
            "--epochs": self._given.epochs,
            "--batch-size": self._given.batch,
            "--device": "cpu",
            "--run": run,
        }
        return ["train", *(str(part) for pair in options.items() for part in pair)]

    def searched(self) -> Row:
        """Within half of what the largest subnet takes."""
        return told(
            *("search", "--run", str(self._whole), "--target", str(self._table)),
            *("--pairs", str(self._given.pairs), "--images", "200", "--name", "half"),
        )

    def exported(self) -> Row:
        """The found subnet's file against torch."""
        found = told("export", str(self._whole / "search" / "half" / "subnet.json"), "--onnx")
        return {key: found[key] for key in FILE}

    def extracted(self) -> Row:
        """Random subnets of the trained supernet."""
        return compared(Run(self._whole).supernet(), self._given.subnets)


def same_files(first: Path, second: Path) -> bool:
    """Whether the weights of all checkpoints of two runs are the same bits."""
    files = [{path.relative_to(run): path for path in run.glob(WEIGHTS)} for run in (first, second)]
    return files[0].keys() == files[1].keys() and all(
        path.read_bytes() == files[1][name].read_bytes() for name, path in files[0].items()
    )


def compared(supernet: Supernet, count: int) -> Row:
    """Extracted against active, and multiply-adds against torch's counter."""
    space = supernet.space
    genes = sample(space, count, np.random.default_rng(0))
    subnets = decode(space, genes)
    evaluated = max(difference(supernet.eval(), subnet) for subnet in subnets)
    supernet.double()  # in which no relu goes the other way since a sum was rounded
    trained = max(difference(supernet.train(), subnet) for subnet in subnets)
    macs = macs_of(space, genes[:COUNTED]).tolist()
    return {
        "subnets": count,
        "difference in evaluation": evaluated,
        "difference in training": trained,
        "counted by torch": COUNTED,
        "multiply-adds unequal": sum(
            counted(supernet, subnet) != 2 * own for subnet, own in zip(subnets, macs)
        ),
    }


def difference(supernet: Supernet, subnet: Subnet) -> float:
    """Of an extracted and the active subnet, as a share of the largest logit, or of 1."""
    network = extract(supernet, subnet).train(supernet.training)
    supernet.activate(subnet)
    images = random_images(supernet, subnet, 4)
    with torch.no_grad():
        active, own = supernet(images), network(images)
    return float((active - own).abs().max() / active.abs().max().clamp(min=1))


def counted(supernet: Supernet, subnet: Subnet) -> int:
    """What torch counts for one image: two for a multiply-add."""
    network = extract(supernet, subnet).eval()
    images = random_images(supernet, subnet, 1)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    return int(counter.get_total_flops())


def random_images(supernet: Supernet, subnet: Subnet, count: int) -> Tensor:
    """Of the supernet's type."""
    size = subnet.resolution
    kind = next(supernet.parameters()).dtype
    return torch.randn(count, supernet.space.in_channels, size, size, dtype=kind)


def main() -> None:
    """Walk each space through all commands, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--spaces", nargs="+", default=SPACES)
    parser.add_argument("--sizes", type=int, nargs="+", default=[48, 64])
    parser.add_argument("--images", type=int, default=1000, help="to train with")
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=40, help="measured for the search")
    parser.add_argument("--subnets", type=int, default=200, help="extracted")
    parser.add_argument("--work", type=Path, default=Path("runs") / "each_space")
    add_hardware(parser)
    given = parser.parse_args()
    settings = {key: getattr(given, key) for key in SETTINGS}
    rows = Rows(given.work, settings)
    images = written_images(given.work / "images", given.images)
    walks = {name: Walk(name, given, images) for name in given.spaces}
    for part in PARTS:
        for name, walk in walks.items():
            rows.get(f"{name} {part}", getattr(walk, part))
            body = {"settings": rows.settings, "rows": rows.rows}
            written = write_result("each_space", given.hardware, ("torch", "onnxruntime"), body)
            print(written, flush=True)


if __name__ == "__main__":
    main()
