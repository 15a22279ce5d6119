"""Make a folder of many photographs of 500 px from a folder of few: as large as ImageNet's parts.

    python benchmarks/large_folder.py --photos FOLDER --to LARGE [--classes 100] [--images 1300]

`LARGE/train/<class>/` gets so many JPEG files of each class and `LARGE/val/<class>/` a part of
them (`--test`), 500 px on the long side, of quality 90. Each is a photograph of FOLDER's class
folders, cut, mirrored, lit and grained at random: so every file has other bytes, the size of a
photograph's, and takes a photograph's time to decode. Several classes are made of one class by
turning its colours. What is there already is not made again, so that it can be stopped.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops
from records import image_folder, run_told

LONG = 500
GRAIN = 4.0
"""Deviation of the grain in grey levels: files are then of the size that photographs have."""
TURNS = 16  # ways to turn colours
CHUNK = 50


def jittered(image: Image.Image, turn: int, rng: np.random.Generator) -> Image.Image:
    """A part of a photograph in YCbCr, enlarged and changed at random; colours turned by `turn`."""
    width, height = image.size
    part = rng.uniform(0.75, 1.0, 2) * [width, height]
    left, top = rng.uniform(0, 1, 2) * ([width, height] - part)
    scale = LONG / part.max()
    size = (round(part[0] * scale), round(part[1] * scale))
    box = (left, top, left + part[0], top + part[1])
    made = image.resize(size, Image.Resampling.BILINEAR, box)
    if rng.random() < 0.5:
        made = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    light, blue, red = made.split()
    start = int(rng.integers(0, 1000))
    own = grain().crop((0, start, size[0], start + size[1]))
    light = ImageChops.add(light, own, offset=int(rng.integers(-20, 21)) - 128)
    if turn & 1:
        blue, red = red, blue
    if turn & 2:
        blue = ImageChops.invert(blue)
    if turn & 4:
        red = ImageChops.invert(red)
    if turn & 8:
        blue, red = (band.point(lambda value: 64 + value // 2) for band in (blue, red))
    return Image.merge("YCbCr", (light, blue, red))


@cache
def grain() -> Image.Image:
    """Grain around 128 of which every picture takes a part; to make it takes longer than that."""
    values = np.random.default_rng(0).normal(128, GRAIN, (1000 + LONG, LONG))
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def make_some(tasks: Sequence[tuple[Path, Path, int, int]]) -> int:
    """Write some files, each from a photograph, with a turn of colours and a seed."""
    for source, target, turn, seed in tasks:
        with Image.open(source) as opened:
            made = jittered(opened.convert("YCbCr"), turn, np.random.default_rng(seed))
        unfinished = target.with_suffix(".part")
        made.save(unfinished, "JPEG", quality=90)
        unfinished.rename(target)
    return len(tasks)


def tasks_of(
    photos: Path, to: Path, classes: int, counts: dict[str, int]
) -> Iterator[tuple[Path, Path, int, int]]:
    """What is still to be made."""
    folders = sorted(path for path in photos.iterdir() if path.is_dir())
    if classes > TURNS * len(folders):
        raise SystemExit(f"{photos}: gives {TURNS * len(folders)} classes at most, not {classes}")
    seed = 0
    for split, count in counts.items():
        for label in range(classes):
            sources = sorted(folders[label % len(folders)].glob("*.[jJ][pP]*"))
            turn = label // len(folders)
            folder = to / split / f"class_{label:03d}"
            folder.mkdir(parents=True, exist_ok=True)
            there = set(os.listdir(folder))  # noqa: PTH208  # names alone, of many files
            for number in range(count):
                seed += 1
                if (name := f"{number:05d}.jpg") not in there:
                    yield sources[seed * 7919 % len(sources)], folder / name, turn, seed


def make(photos: Path, to: Path, classes: int, counts: dict[str, int]) -> int:
    """Make what is not there yet; how many files that were."""
    tasks = list(tasks_of(photos, to, classes, counts))
    chunks = [tasks[start : start + CHUNK] for start in range(0, len(tasks), CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return sum(pool.map(make_some, chunks))


def main() -> None:
    """Make the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--photos", type=image_folder, required=True, help="folder of class folders"
    )
    parser.add_argument("--to", type=Path, required=True, help="folder to make")
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--images", type=int, default=1300, help="to train on, of each class")
    parser.add_argument("--test", type=int, default=50, help="to test on, of each class")
    options = parser.parse_args()
    counts = {"train": options.images, "val": options.test}
    print(f"made {make(options.photos, options.to, options.classes, counts):,} files")


if __name__ == "__main__":
    run_told(main)
