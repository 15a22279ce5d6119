"""Decoding a folder of photographs, beside what the cores can decode at all, in turn.

    python benchmarks/decoding.py --photos FOLDER

Photographs of FOLDER are enlarged to 500 x 375 pixels and written as JPEG files of quality 90.
Sides, each on all cores: `bare`, Pillow (libjpeg-turbo) with `draft`, and its resize to the
square, in processes; `bare_threads`, the same in threads; `only_decoded`, without the resize;
`torchvision`, its `decode_jpeg` and antialiased resize in threads; `ours`, what `supernet train`
does, into a new cache; `ours_sides`, with what lies beside the squares. In every round each side
runs once, in random order; ratios are within rounds. Wall time and time of the processors, which
neighbours disturb less. Writes `benchmarks/results/decoding_<hardware>_<date>.json`.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from records import add_hardware, image_folder, run_told, summary, write_result
from torchvision.io import decode_jpeg, read_file
from torchvision.transforms.v2.functional import center_crop, resize

from supernet.data.decoding import Square
from supernet.data.store import decoded
from supernet.progress import silent

CORES = os.cpu_count() or 1
CHUNK = 25


def make(photos: Path, folder: Path, count: int) -> list[Path]:
    """JPEG files of the size that photographs of ImageNet have."""
    found = sorted(p for p in photos.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg"})
    paths = []
    for number in range(count):
        with Image.open(found[number * 7919 % len(found)]) as image:
            large = image.convert("RGB").resize((500, 375), Image.Resampling.BICUBIC)
        paths.append(folder / f"{number}.jpg")
        large.save(paths[-1], quality=90)
    return paths


def only_decoded(path: Path, side: int) -> None:
    """As small as the decoder makes it by itself."""
    with Image.open(path) as image:
        image.draft("RGB", (side, side))
        image.load()


def bare(path: Path, side: int) -> None:
    """The square, and nothing that a folder of photographs may need besides."""
    with Image.open(path) as image:
        image.draft("RGB", (side, side))
        np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC))


def by_torchvision(path: Path, side: int) -> None:
    """Decoded whole, shrunk by its fastest antialiased way."""
    pixels = decode_jpeg(read_file(str(path)))
    center_crop(resize(pixels, [side], antialias=True), [side, side]).numpy()


def some(work: Callable[[Path, int], None], paths: Sequence[Path], side: int) -> float:
    """A chunk of images; seconds of the processor where this is a process of its own."""
    since = time.process_time()
    for path in paths:
        work(path, side)
    return time.process_time() - since


class Sides:
    """What is compared, on the same files.

    Args:
        paths: of the files.
        side: of the squares.
        folder: for caches.
    """

    def __init__(self, paths: Sequence[Path], side: int, folder: Path) -> None:
        self._paths, self._side, self._folder = paths, side, folder
        self._chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
        self._threads: Executor = ThreadPoolExecutor(CORES)
        self._processes: Executor = ProcessPoolExecutor(CORES)
        self.all: dict[str, Callable[[], float]] = {
            "bare": lambda: self._run(self._processes, bare, in_processes=True),
            "bare_threads": lambda: self._run(self._threads, bare),
            "only_decoded": lambda: self._run(self._processes, only_decoded, in_processes=True),
            "torchvision": lambda: self._run(self._threads, by_torchvision),
            "ours": lambda: self._ours(whole=False),
            "ours_sides": lambda: self._ours(whole=True),
        }

    def _run(
        self, pool: Executor, work: Callable[[Path, int], None], *, in_processes: bool = False
    ) -> float:
        since = time.process_time()
        done = [pool.submit(some, work, chunk, self._side) for chunk in self._chunks]
        taken = sum(future.result() for future in done)
        return taken if in_processes else time.process_time() - since

    def _ours(self, *, whole: bool) -> float:
        stored = self._folder / "pixels.npy"
        stored.unlink(missing_ok=True)
        since = time.process_time()
        decoded(self._paths, Square(side=self._side, whole=whole), stored, silent)
        return time.process_time() - since


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=image_folder, required=True, help="folder of photographs")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=147, help="of the squares, in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    add_hardware(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the pools keep the cores busy
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        paths = make(options.photos, Path(place), options.images)
        sides = Sides(paths, options.side, Path(place)).all
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for turn in range(-1, options.rounds):
            for name in rng.permutation(list(sides)).tolist():
                since = time.perf_counter()
                processor = sides[name]()
                if turn >= 0:
                    times[name].append((time.perf_counter() - since, processor))
    figures = {}
    for name, own in times.items():
        ratios = [
            [theirs[at] / ours[at] for theirs, ours in zip(times["bare"], own)] for at in (0, 1)
        ]
        figures[name] = {
            "images_per_s": summary([options.images / wall for wall, _ in own]),
            "processor_ms_an_image": 1e3 * statistics.median(p for _, p in own) / options.images,
            "of_bare_wall": statistics.median(ratios[0]),
            "of_bare_processor": statistics.median(ratios[1]),
        }
        print(name, figures[name], flush=True)
    body = {
        "load": os.getloadavg()[0],
        "images": options.images,
        "image_size": [500, 375],
        "side": options.side,
        "rounds": options.rounds,
        "sides": figures,
    }
    print(write_result("decoding", options.hardware, ("pillow", "torchvision", "torch"), body))


if __name__ == "__main__":
    run_told(main)
