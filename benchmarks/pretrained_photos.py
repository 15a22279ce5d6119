"""Published ImageNet weights on Imagenette's validation photographs, without a step of training.

    python benchmarks/pretrained_photos.py --data FOLDER

FOLDER holds a folder of pictures for each of Imagenette's classes, named by its WordNet id. The
answer is the largest of the ten of the thousand outputs that are these classes. Pictures are cut
to their centred square and resized to 128 px and to the network's own size (bicubic).

On the first pictures of each class, timm's network with the same file is the referee: of the
supernet's largest subnet, of what is extracted from it, and of its ONNX file in ONNX Runtime.

Writes `benchmarks/results/pretrained_photos_<hardware>_<date>.json`.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from records import add_hardware, image_folder, run_told, write_result
from supernet.export.formats.onnx import open_onnx, to_onnx
from torch import Tensor, nn

from supernet import Supernet, extract, load_space
from supernet.models import load_pretrained, open_network
from supernet.models.packaged import PACKAGED, weights_path
from supernet.models.weights import load_tensors

# https://github.com/fastai/imagenette: WordNet id and number among ImageNet's thousand classes
IMAGENETTE = {
    "n01440764": 0,  # tench
    "n02102040": 217,  # English springer
    "n02979186": 482,  # cassette player
    "n03000684": 491,  # chain saw
    "n03028079": 497,  # church
    "n03394916": 566,  # French horn
    "n03417042": 569,  # garbage truck
    "n03425413": 571,  # gas pump
    "n03445777": 574,  # golf ball
    "n03888257": 701,  # parachute
}
BATCH = 50

Pixels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


def read(folder: Path, size: int, most: int | None) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Pictures ``(N, size, size, 3)`` and their classes; of each class the first `most`."""
    pictures, labels = [], []
    for label, name in enumerate(IMAGENETTE):
        for path in sorted((folder / name).iterdir())[:most]:
            with Image.open(path) as image:
                side = min(image.size)
                left, top = ((length - side) // 2 for length in image.size)
                square = image.convert("RGB").crop((left, top, left + side, top + side))
            square = square.resize((size, size), Image.Resampling.BICUBIC)
            pictures.append(np.asarray(square))
            labels.append(label)
    return np.stack(pictures), np.array(labels)


def normalised(pictures: Pixels, name: str) -> Tensor:
    """``(N, H, W, 3)`` to what the network reads, ``(N, 3, H, W)``."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (PACKAGED[name].mean, PACKAGED[name].std))
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - mean) / std


def logits_of(call: Callable[[Tensor], Logits], pictures: Pixels, name: str) -> Logits:
    """All outputs, ``(N, 1000)``."""
    parts = range(0, len(pictures), BATCH)
    return np.concatenate([call(normalised(pictures[i : i + BATCH], name)) for i in parts])


def of_torch(network: nn.Module) -> Callable[[Tensor], Logits]:
    """A network in eval mode as a function."""

    @torch.inference_mode()
    def call(images: Tensor) -> Logits:
        found: Logits = network(images).numpy()
        return found

    return call


def top1(logits: Logits, labels: npt.NDArray[np.int64]) -> float:
    """Percent of the pictures whose class has the largest output among the ten."""
    chosen = logits[:, list(IMAGENETTE.values())].argmax(1)
    return round(100 * float((chosen == labels).mean()), 2)


def referee(name: str) -> nn.Module:
    """Timm's network with the same file; both list their tensors in the order of running."""
    import timm

    network = timm.create_model(f"tf_{name}").eval()
    theirs = load_tensors(weights_path(name))
    network.load_state_dict(dict(zip(network.state_dict(), theirs.values(), strict=True)))
    return network


def compared(name: str, folder: Path, supernet: Supernet, size: int, most: int) -> dict[str, float]:
    """The four ways to compute the same, on the first pictures of each class."""
    subnet = replace(supernet.largest, resolution=size)
    supernet.activate(subnet)
    network = extract(supernet, subnet)
    pictures, labels = read(folder, size, most)
    expected = logits_of(of_torch(referee(name)), pictures, name)
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "network.onnx"
        to_onnx(network, path, in_channels=3, resolution=size, dynamic_batch=True)
        file = open_onnx(path)
        ways = {
            "supernet": of_torch(supernet),
            "extracted": of_torch(network),
            "onnx": lambda images: file.call(images.numpy()),
        }
        found = {way: logits_of(call, pictures, name) for way, call in ways.items()}
    row = {"pictures": len(labels), "timm_top1": top1(expected, labels)}
    row |= {f"{way}_top1": top1(logits, labels) for way, logits in found.items()}
    row["largest_logit"] = float(np.abs(expected).max())
    return row | {
        f"{way}_from_timm": float(np.abs(logits - expected).max()) for way, logits in found.items()
    }


def measure(name: str, folder: Path, most: int) -> dict[str, dict[str, float]]:
    """Figures of one network, by input size."""
    space = load_space(name)
    supernet = Supernet(space).eval()
    load_pretrained(supernet, open_network(name))
    rows = {}
    for size in (128, space.resolutions[-1]):
        row = compared(name, folder, supernet, size, most)
        pictures, labels = read(folder, size, None)
        network = extract(supernet, replace(supernet.largest, resolution=size))
        row["all_pictures"] = len(labels)
        row["all_top1"] = top1(logits_of(of_torch(network), pictures, name), labels)
        rows[str(size)] = row
        print(name, size, row, flush=True)
    return rows


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        "--data", type=image_folder, required=True, help="folder of the class folders"
    )
    parser.add_argument("--networks", nargs="+", choices=PACKAGED, default=list(PACKAGED))
    parser.add_argument("--referee", type=int, default=40, help="pictures a class for the referee")
    add_hardware(parser)
    options = parser.parse_args()
    found = {name: measure(name, options.data, options.referee) for name in options.networks}
    modules = [PACKAGED[name].module for name in options.networks]
    packages = ("torch", "onnxruntime", "timm", *(module.replace("_", "-") for module in modules))
    print(write_result("pretrained_photos", options.hardware, packages, {"networks": found}))


if __name__ == "__main__":
    run_told(main)
