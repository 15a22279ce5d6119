"""Exported files: that they compute what torch does, how fast they are, and how long it takes.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/export.py --parts speed
    python benchmarks/export.py --parts verified --subnets 30 --spaces demo mobilenet_v3
    python benchmarks/export.py --parts verified --spaces demo_cells benchmarks/narrow_cells.yaml

`verified`: random subnets of shipped spaces, or of YAML files, with random weights, whose batch
norm statistics are those of real images, in ONNX Runtime against torch on the embedded images
(blown up and in three colours where the space wants that). `speed`: the largest, a middle and the
smallest subnet of mobilenet_v3 at two input sizes, our fp32 and int8 files, the export of
Once-for-All's own network with the same weights (package `ofa`, torch's older exporter), and the
same architecture from timm's blocks (random weights, our exporter); all files are run in turn, one
thread, and ratios are medians of runs side by side. `int8`: the largest subnet of several spaces
in both precisions. `seconds`: extraction and export.
Writes `benchmarks/results/export_<hardware>_<date>.json`; parts that were not asked for are
kept from the file of the same day.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from ofa_pair import Pair, build, random_images
from records import add_hardware, result_path, write_result
from supernet.export import Sample, Source, exporter, verify
from supernet.export.counting import onnx_macs
from supernet.export.formats.onnx import open_onnx
from supernet.export.int8.graphs import prepared
from supernet.export.int8.quantised import quantised
from supernet.export.int8.ranges import images_of, measured_ranges
from timm_pair import timm_network
from torch import Tensor, nn

from supernet.data import eval_view, load_fashion_mnist
from supernet.evaluate import recalibrate
from supernet.models import Supernet, extract
from supernet.space import (
    Space,
    Subnet,
    decode,
    largest,
    list_spaces,
    load_space,
    macs_of,
    operators,
    sample,
    smallest,
    total_macs,
)

PARTS = ("verified", "speed", "int8", "seconds")
INT8_SPACES = ("mobilenet_v3", "mobilenet_v3_int8", "mobilenet_v2", "resnet50d")
SIZES = (160, 224)
RUNS = 120  # of every file, in turn
Figures = dict[str, Any]


def real_images(space: Space, resolution: int, count: int) -> tuple[Tensor, np.ndarray]:
    """Embedded test images as a network of `space` reads them, and their classes."""
    dataset = load_fashion_mnist()
    pixels = dataset.test.pixels(slice(0, count))
    views = eval_view(torch.from_numpy(pixels), resolution, dataset.views)
    return views.repeat(1, space.in_channels, 1, 1), dataset.test.labels[:count]


def verified(name: str, count: int, images: int, seed: int) -> Figures:
    """Random subnets of a space: ONNX Runtime against torch."""
    space = load_space(name)
    torch.manual_seed(seed)
    supernet = Supernet(space)
    onnx_exporter = exporter("onnx")
    worst, agreed, macs_equal = 0.0, 100.0, True
    for subnet in decode(space, sample(space, count, np.random.default_rng(seed))):
        views, labels = real_images(space, subnet.resolution, images)
        network = extract(supernet, subnet)
        recalibrate(network, [views[:64]])
        sample_ = Sample(batches=list(torch.split(views, 32)), labels=labels)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            source = Source(
                network=network.eval(), in_channels=space.in_channels, resolution=subnet.resolution
            )
            onnx_exporter.write(source, path)
            found = verify(open_onnx(path, threads=0), network, sample_)
            macs_equal &= onnx_macs(onnx.load(path)) == total_macs(operators(space, subnet))
        scale = max(1.0, found.largest)
        worst, agreed = max(worst, found.max_abs_diff / scale), min(agreed, found.agreement)
    return {
        "subnets": count,
        "images": images,
        "largest difference, of logits or of the largest logit where that is above 1": worst,
        "least agreement in top-1, percent": agreed,
        "multiply-adds equal": macs_equal,
    }


def speed(folder: Path, seed: int) -> list[Figures]:
    """Files of the same network, run in turn."""
    pair = build("mobilenet_v3", folder)
    space = pair.space
    genes = sample(space, 2001, np.random.default_rng(seed))
    middle = genes[np.argsort(macs_of(space, genes))[1000]][None]
    chosen = {"largest": largest(space), "median": middle, "smallest": smallest(space)}
    rows = []
    for resolution in SIZES:
        for name, gene in chosen.items():
            subnet = replace(decode(space, gene)[0], resolution=resolution)
            files = written(pair, subnet, folder)
            ms = side_by_side(files)
            rows.append({"subnet": name, "resolution": resolution} | ms)
            print(json.dumps(rows[-1]), flush=True)
    return rows


def written(pair: Pair, subnet: Subnet, folder: Path) -> dict[str, Path]:
    """Our two files of a subnet, and those of Once-for-All's own network and of timm's blocks."""
    images = random_images(48, subnet.resolution)
    paths = ours(pair.ours, subnet, folder, images)
    pair.activate(subnet)
    theirs = pair.theirs.get_active_subnet(preserve_weight=True).eval()
    paths["ofa"] = older_export(theirs, folder / "ofa.onnx", images[:1])
    found = operators(pair.space, subnet)
    paths["timm"] = folder / "timm.onnx"
    plain = Source(network=timm_network(found), in_channels=3, resolution=subnet.resolution)
    exporter("onnx").write(plain, paths["timm"])
    assert onnx_macs(onnx.load(paths["timm"])) == total_macs(found)
    return paths


def ours(supernet: Supernet, subnet: Subnet, folder: Path, images: Tensor) -> dict[str, Path]:
    """A subnet in fp32 and in int8, as `export --int8` without choosing how."""
    network = extract(supernet, subnet).eval()
    source = Source(network=network, in_channels=3, resolution=subnet.resolution)
    paths = {precision: folder / f"{precision}.onnx" for precision in ("fp32", "int8")}
    exporter("onnx").write(source, paths["fp32"])
    model = prepared(onnx.load(paths["fp32"]))
    ranges = measured_ranges(model, images_of([images], 8), "minmax")
    paths["int8"].write_bytes(quantised(model, ranges).SerializeToString())
    return paths


def int8(folder: Path, seed: int) -> list[Figures]:
    """The largest subnet of several spaces in fp32 and in int8, run in turn."""
    rows = []
    for name in INT8_SPACES:
        space = load_space(name)
        torch.manual_seed(seed)
        subnet = replace(decode(space, largest(space))[0], resolution=SIZES[-1])
        images = random_images(48, subnet.resolution)
        files = ours(Supernet(space), subnet, folder, images)
        rows.append({"space": name, "resolution": subnet.resolution} | side_by_side(files))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def older_export(network: nn.Module, path: Path, images: Tensor) -> Path:
    """A file as torch's older exporter writes it, which was the only one in 2020."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (images,), str(path), opset_version=18, dynamo=False)
    return path


def side_by_side(files: dict[str, Path]) -> Figures:
    """Milliseconds of files run in turn, and ratios of runs side by side."""
    runs = {name: open_onnx(path).runner() for name, path in files.items()}
    times: dict[str, list[float]] = {name: [] for name in files}
    for number in range(RUNS + 10):
        for name, run in runs.items():
            start = time.thread_time_ns()
            run()
            if number >= 10:
                times[name].append((time.thread_time_ns() - start) / 1e6)
    median = {f"{name}_ms": statistics.median(values) for name, values in times.items()}
    ratio = {
        f"{name} / fp32": statistics.median(np.array(times[name]) / np.array(times["fp32"]))
        for name in files
        if name != "fp32"
    }
    executed = open_onnx(files["int8"]).operators()
    return median | ratio | {"float convolutions in int8": executed["Conv"]}


def seconds(folder: Path) -> Figures:
    """Extraction and export of one subnet of mobilenet_v3."""
    space = load_space("mobilenet_v3")
    supernet = Supernet(space)
    subnet = decode(space, largest(space))[0]
    extraction = []
    for _ in range(10):
        start = time.perf_counter()
        network = extract(supernet, subnet)
        extraction.append(1e3 * (time.perf_counter() - start))
    source = Source(network=network.eval(), in_channels=3, resolution=subnet.resolution)
    exports = []
    for _ in range(3):
        start = time.perf_counter()
        exporter("onnx").write(source, folder / "a.onnx")
        exports.append(time.perf_counter() - start)
    return {
        "extraction of the largest, ms": statistics.median(extraction),
        "export of it to ONNX, s": exports,
    }


def main() -> None:
    """Read the command line, measure, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS))
    parser.add_argument("--spaces", nargs="+", default=list_spaces())
    parser.add_argument("--subnets", type=int, default=30)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    add_hardware(parser)
    given = parser.parse_args()
    path = result_path("export", given.hardware)
    body: Figures = json.loads(path.read_text()) if path.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        parts: dict[str, Callable[[], Any]] = {
            "speed": partial(speed, Path(name), given.seed),
            "int8": partial(int8, Path(name), given.seed),
            "seconds": partial(seconds, Path(name)),
        }
        for part in given.parts:
            if part == "verified":
                for space in given.spaces:
                    found = verified(space, given.subnets, given.images, given.seed)
                    body.setdefault("verified", {})[load_space(space).name] = found
                    print(space, json.dumps(found), flush=True)
                    save(given.hardware, body)
            else:
                body[part] = parts[part]()
                save(given.hardware, body)


def save(hardware: str, body: Figures) -> None:
    """Write what was measured so far."""
    kept = {key: value for key, value in body.items() if key in PARTS}
    print(write_result("export", hardware, ("torch", "onnxruntime", "onnx", "ofa"), kept))


if __name__ == "__main__":
    main()
