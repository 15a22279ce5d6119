"""A segmentation head on backbones of a supernet, beside timm's network with the same weights.

    python benchmarks/segmentation.py --data FOLDER --run RUN

FOLDER holds ``train`` and ``val`` with Imagenette's ten class folders, RUN is a supernet that was
trained from `--init efficientnet_lite0` and searched. Images are composites, so their masks are
known to the pixel: a smooth blob of a photograph of one of four classes on a photograph of another
six, and as often as not a second blob of those six, which is background like all of them. Whoever
finds pasted edges alone does not tell the classes apart.

The backbones stay as they are; a head (lateral convolutions, sums from coarse to fine) is trained
on the same composites, in the same order, for each: the published network, timm's `features_only`
with its weights (the referee: maps and mIoU must be those of the first), the supernet's largest
subnet, the found one, and the network without weights. The found one's head then reads the maps
of its exported ONNX file.

Writes `benchmarks/results/segmentation_<hardware>_<date>.json`.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from records import add_hardware, image_folder, run_told, write_result
from supernet.export.contract import Source
from supernet.export.formats.onnx import Onnx
from torch import Tensor, nn

from supernet.latency import Loadable, Protocol, measure
from supernet.models import Backbone, Network, backbone_of, open_network
from supernet.models.packaged import PACKAGED
from supernet.runs import Run
from supernet.space import (
    Operator,
    Subnet,
    SubnetFile,
    body_operators,
    largest_subnet,
    load_space,
    operators,
    resized,
    total_macs,
)

NAME = "efficientnet_lite0"
FOREGROUND = (
    "n02102040",
    "n03028079",
    "n03425413",
    "n03888257",
)  # dog, church, gas pump, parachute
BACKGROUND = (
    "n01440764", "n02979186", "n03000684", "n03394916", "n03417042", "n03445777",
)  # fmt: skip
WIDTH = 48  # channels of the head
BATCH = 16

Pixels = npt.NDArray[np.uint8]
Body = Callable[[Tensor], list[Tensor]]


class Head(nn.Module):
    """Maps of several strides to classes of pixels: a small feature pyramid."""

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, WIDTH, 1) for count in channels)
        self.smooth = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.Conv2d(WIDTH, WIDTH, 1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
        )
        self.classify = nn.Conv2d(WIDTH, classes, 1)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Maps, the finest first, to ``(N, classes, H, W)``."""
        *finer, x = [layer(m) for layer, m in zip(self.lateral, maps, strict=True)]
        for m in reversed(finer):
            x = m + F.interpolate(x, size=m.shape[2:], mode="bilinear", align_corners=False)
        logits = self.classify(self.smooth(x))
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)


def read(folder: Path, names: Sequence[str], size: int, most: int) -> list[Pixels]:
    """Photographs of each class, ``(N, size, size, 3)``."""
    found = []
    for name in names:
        squares = []
        for path in sorted((folder / name).iterdir())[:most]:
            with Image.open(path) as image:
                side = min(image.size)
                left, top = ((length - side) // 2 for length in image.size)
                square = image.convert("RGB").crop((left, top, left + side, top + side))
            squares.append(np.asarray(square.resize((size, size), Image.Resampling.BILINEAR)))
        found.append(np.stack(squares))
    return found


def blob(rng: np.random.Generator, size: int) -> npt.NDArray[np.bool_]:
    """A smooth shape without straight edges, ``(size, size)``."""
    rows, columns = np.mgrid[:size, :size] / size - rng.uniform(0.3, 0.7, (2, 1, 1))
    angle, edge = np.arctan2(rows, columns), rng.uniform(0.18, 0.34)
    for wave in (2, 3, 5):
        edge = edge * (1 + rng.uniform(-0.4, 0.4) / wave * np.sin(wave * angle + rng.uniform(0, 7)))
    found: npt.NDArray[np.bool_] = np.hypot(rows, columns) < edge
    return found


def composites(
    photographs: tuple[list[Pixels], list[Pixels]], seed: int
) -> Iterator[tuple[Pixels, npt.NDArray[np.int64]]]:
    """Images ``(size, size, 3)`` and the classes of their pixels, 0 for background; without end."""
    rng = np.random.default_rng(seed)
    inside, outside = photographs
    while True:
        image = _one_of(rng, outside[rng.integers(len(outside))]).copy()
        classes = np.zeros(image.shape[:2], np.int64)
        if rng.random() < 0.5:
            shape = blob(rng, len(image))
            image[shape] = _one_of(rng, outside[rng.integers(len(outside))])[shape]
        label, shape = int(rng.integers(len(inside))), blob(rng, len(image))
        image[shape] = _one_of(rng, inside[label])[shape]
        classes[shape] = label + 1
        yield image, classes


def _one_of(rng: np.random.Generator, photographs: Pixels) -> Pixels:
    chosen: Pixels = photographs[rng.integers(len(photographs))]
    return chosen[:, ::-1] if rng.random() < 0.5 else chosen


def batches(
    source: Iterator[tuple[Pixels, npt.NDArray[np.int64]]], count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """So many batches, normalised as the published network's images."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (PACKAGED[NAME].mean, PACKAGED[NAME].std))
    for _ in range(count):
        images, classes = zip(*(next(source) for _ in range(BATCH)))
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        yield (pixels - mean) / std, torch.from_numpy(np.stack(classes))


def train_head(body: Body, channels: Sequence[int], options: Any, data: Any) -> Head:
    """A head for a backbone that stays as it is; the same composites for all."""
    torch.manual_seed(0)
    head = Head(channels, len(FOREGROUND) + 1)
    optimiser = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=1e-4)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=options.steps)
    for images, classes in batches(composites(data["train"], seed=1), options.steps):
        with torch.no_grad():
            maps = body(images)
        loss = F.cross_entropy(head(maps, images.shape[2:]), classes)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimiser.step()
        plan.step()
    return head.eval()


@torch.inference_mode()
def mean_iou(body: Body, head: Head, options: Any, data: Any) -> float:
    """Mean intersection over union of all classes with the background, in percent."""
    count = len(FOREGROUND) + 1
    table = np.zeros((count, count), np.int64)
    for images, classes in batches(composites(data["val"], seed=2), options.tests // BATCH):
        found = head(body(images), images.shape[2:]).argmax(1)
        table += np.bincount((classes * count + found).numpy().ravel(), minlength=count**2).reshape(
            count, count
        )
    hits = np.diag(table)
    return round(100 * float((hits / (table.sum(0) + table.sum(1) - hits)).mean()), 2)


def referee(network: Network) -> Any:
    """Timm's backbone with the same weights: both list them in the order of running."""
    theirs = timm.create_model(f"tf_{NAME}").eval()
    names = theirs.state_dict()
    theirs.load_state_dict(dict(zip(names, network.state_dict().values(), strict=True)))
    found = timm.create_model(f"tf_{NAME}", features_only=True)
    found.load_state_dict(theirs.state_dict(), strict=False)
    return found.eval()


def exported(body: Backbone, size: int, folder: Path) -> tuple[Body, float]:
    """The maps of a backbone's ONNX file as a function, and its milliseconds on one thread."""
    source = Source(
        network=body,
        in_channels=3,
        resolution=size,
        outputs=body.names,
        preprocessing={"size": [size, size]},
    )
    path = folder / "backbone.onnx"
    Onnx().write(source, path)
    opened = Onnx().open(path)
    assert opened.maps is not None
    maps = opened.maps

    def call(images: Tensor) -> list[Tensor]:
        rows = [maps(image[None].numpy()) for image in images]
        return [torch.from_numpy(np.concatenate([r[name] for r in rows])) for name in body.names]

    loadable = Loadable(load=opened.runner, size=path.stat().st_size)
    return call, measure([loadable], Protocol(rounds=20))[0].ms


def row_of(
    body: Body, subnet: Subnet, listed: Sequence[Operator], options: Any, data: Any
) -> tuple[dict[str, Any], Head]:
    """What a backbone is, and the mIoU with a head of its own."""
    kept = resized(body_operators(subnet, listed, options.features), options.size, options.size)
    started = time.time()
    channels = [m.shape[1] for m in body(torch.zeros(1, 3, options.size, options.size))]
    head = train_head(body, channels, options, data)
    row = {"channels": channels, "macs": total_macs(kept)}
    row |= {"miou": mean_iou(body, head, options, data), "seconds": round(time.time() - started)}
    print(row, flush=True)
    return row, head


def compare(options: Any) -> dict[str, Any]:
    """All backbones in turn."""
    data = {}
    for split in ("train", "val"):
        folder, size, most = options.data / split, options.size, options.photographs
        data[split] = read(folder, FOREGROUND, size, most), read(folder, BACKGROUND, size, most)
    space = load_space(NAME)
    whole, network = largest_subnet(space), open_network(NAME)
    assert isinstance(network, Network)
    listed = operators(space, whole)
    published = backbone_of(network.eval(), whole, listed, options.features).eval()
    theirs = referee(network)
    chosen = [theirs.feature_info.reduction().index(stride) for stride in options.features]

    def timm_body(images: Tensor) -> list[Tensor]:
        maps = theirs(images)
        return [maps[index] for index in chosen]

    with torch.inference_mode():
        images, _ = next(batches(composites(data["val"], seed=3), 1))
        gaps = [float((a - b).abs().max()) for a, b in zip(published(images), timm_body(images))]
    found: dict[str, Any] = {"maps_from_timm": max(gaps)}
    torch.manual_seed(0)
    blank = backbone_of(Network(listed).eval(), whole, listed, options.features).eval()
    for name, body in (("published", published), ("timm", timm_body), ("without weights", blank)):
        found[name], _ = row_of(body, whole, listed, options, data)
    return found | of_run(options, data)


def of_run(options: Any, data: Any) -> dict[str, Any]:
    """The largest and the found subnet of a run, the second one's ONNX file too."""
    run = Run(options.run)
    evaluator, found = run.evaluator(), {}
    file = SubnetFile.load(options.subnet)
    for name, subnet in (("largest", largest_subnet(run.space())), ("found", file.subnet)):
        listed = operators(run.space(), subnet)
        network, sizes = evaluator.network(subnet), (options.size, options.size)
        fixed = backbone_of(network, subnet, listed, options.features, sizes).eval()
        with TemporaryDirectory() as folder:
            onnx, ms = exported(fixed, options.size, Path(folder))
            row, head = row_of(fixed, subnet, listed, options, data)
            row |= {"onnx_ms": round(ms, 3), "subnet": str(subnet)}
            if name == "found":
                row["onnx_miou"] = mean_iou(onnx, head, options, data)
                row["predicted_ms"] = file.predicted.get("features_latency_ms")
        found[name] = row
        print(name, row, flush=True)
    return found


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        "--data", type=image_folder, required=True, help="folder with train and val"
    )
    parser.add_argument("--run", type=Path, required=True, help="of efficientnet_lite0")
    parser.add_argument("--subnet", type=Path, required=True, help="the found subnet.json")
    parser.add_argument("--features", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--tests", type=int, default=400, help="composites of the test")
    parser.add_argument("--photographs", type=int, default=300, help="of each class, at most")
    add_hardware(parser)
    options = parser.parse_args()
    found = compare(options)
    told = {key: getattr(options, key) for key in ("features", "size", "steps", "tests")}
    body = told | {"batch": BATCH, "backbones": found}
    print(write_result("segmentation", options.hardware, ("torch", "onnxruntime", "timm"), body))


if __name__ == "__main__":
    run_told(main)
