"""A data set as large as ImageNet's parts: what is told before decoding, and what comes of it.

    OMP_NUM_THREADS=1 python benchmarks/large_data.py --data LARGE --cache FOLDER [--resolution 96]

LARGE is made by `benchmarks/large_folder.py`. In turn, each with its wall time and its time of the
processors: the first survey of all files, the second, one after a file was added; what a look
tells of decoding (bytes, seconds), and decoding itself; opening the decoded set again; a thousand
images of training batches from the cache; the hold-out set seen once by an evaluation. Peak memory
is that of the process without mapped files. `--room SHARE` leaves room for so much of the decoded
images only. Writes `benchmarks/results/large_data_<hardware>_<date>.json`.
"""

import argparse
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from records import add_hardware, run_told, write_result

from supernet.data import Dataset, eval_view, load_folder
from supernet.data.decoding import square_of
from supernet.data.folder import stored_side
from supernet.data.look import image_seconds
from supernet.data.room import Room
from supernet.data.survey import survey
from supernet.reading import FRESH
from supernet.train.batches import Batches

T = TypeVar("T")
BATCH = 128
BATCHES = 20
SHOWN = 16_000


class Steps:
    """Times of what is done, and what was told meanwhile."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, float]] = {}
        self.told: list[str] = []

    def progress(self, done: int, total: int, text: str) -> None:
        """Keep notes for the user; show how far the work is."""
        if not total:
            self.told.append(text)
        elif done % SHOWN == 0:
            print(f"{text}: {done:,} of {total:,}", flush=True)

    def timed(self, name: str, work: Callable[[], T]) -> T:
        """What the work gives; its times are kept."""
        wall, processor = time.perf_counter(), time.process_time()
        found = work()
        self.figures[name] = {
            "wall_s": time.perf_counter() - wall,
            "processor_s": time.process_time() - processor,
            "memory_mib": own_mib(),
        }
        print(name, self.figures[name], flush=True)
        return found


def own_mib() -> float:
    """Memory of this process, without files that are mapped."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    told = next(line for line in lines if line.startswith("RssAnon"))
    return int(told.split()[1]) / 1024


def leave_room(images: float, row_bytes: int, cache: Path) -> None:
    """Let the disk seem to have room for so many decoded images, less those that are stored."""
    usage = shutil.disk_usage(cache)

    def left(_: Path) -> Any:
        stored = sum(file.stat().st_size for file in cache.glob("*.npy"))
        return usage._replace(free=max(0, int((images * row_bytes - stored) / 0.9)))

    shutil.disk_usage = left  # type: ignore[assignment]  # for this process alone


def survey_steps(steps: Steps, data: Path, cache: Path) -> Any:
    """Surveys of all files: nothing known, all known, one added."""
    found = steps.timed("survey_first", lambda: survey(data, cache))
    steps.timed("survey_again", lambda: survey(data, cache))
    file = Path(str(found.parts[0].by_class[0][0]))
    if file.is_file():  # and no member of a tar file
        added = file.with_name(f"added{file.suffix}")
        shutil.copy(file, added)
        steps.timed("survey_one_added", lambda: survey(data, cache))
        added.unlink()
        found = survey(data, cache)
    return found


def feed_steps(steps: Steps, dataset: Dataset, resolution: int) -> None:
    """Training batches, and the hold-out set seen once."""
    batches = Batches(dataset, batch_size=BATCH, seed=0)
    steps.timed("batches", lambda: [batches.get(step, 0, resolution) for step in range(BATCHES)])
    batches.close()

    def seen() -> None:
        for start in range(0, len(dataset.holdout), BATCH):
            pixels = torch.from_numpy(dataset.holdout.pixels(slice(start, start + BATCH)))
            eval_view(pixels, resolution, dataset.views)

    steps.timed("holdout_seen", seen)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of class folders, or tars")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded images")
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--room", type=float, help="share of the decoded images that has room")
    add_hardware(parser)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    before = os.getloadavg()[0]
    steps = Steps()
    found = survey_steps(steps, options.data, options.cache)
    square = square_of(stored_side(options.resolution), FRESH)
    count = len(found.record.labels)
    if options.room is not None:
        leave_room(options.room * count, int(np.prod(square.shape)), options.cache)
    room = steps.timed("look", lambda: Room(found.parts, found.root, square, options.cache))
    image_s = steps.timed("look_decodes", lambda: image_seconds(room.undone, square))
    processor_s = image_seconds(room.undone, square, time.process_time)
    told = {
        "seconds": image_s * len(room.undone),
        "processor_s": processor_s * len(room.undone),
        "bytes": room.new_bytes,
        "streamed": room.streamed,
    }

    def load() -> Dataset:
        return load_folder(
            options.data,
            resolution=options.resolution,
            cache=options.cache,
            progress=steps.progress,
        )

    dataset = steps.timed("decoding", load)
    steps.timed("opened_again", load)
    feed_steps(steps, dataset, options.resolution)
    stored = sum(path.stat().st_size for path in options.cache.glob("*.npy"))
    body = {
        "load": [before, os.getloadavg()[0]],
        "images": count,
        "classes": len(found.record.classes),
        "holdout": len(dataset.holdout),
        "test": len(dataset.test),
        "side": square.side,
        "room": options.room,
        "told": told,
        "stored_bytes": stored,
        "seconds_of_told": steps.figures["decoding"]["wall_s"] / told["seconds"],
        "processor_s_of_told": steps.figures["decoding"]["processor_s"] / told["processor_s"],
        "bytes_of_told": stored / told["bytes"] if told["bytes"] else 1.0,
        "notes": [note.replace(f"{options.cache}", "CACHE") for note in steps.told],
        "batch_images": BATCH * BATCHES,
        "steps": steps.figures,
    }
    print({key: value for key, value in body.items() if key != "steps"})
    print(write_result("large_data", options.hardware, ("pillow", "torch", "numpy"), body))


if __name__ == "__main__":
    run_told(main)
