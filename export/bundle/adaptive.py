"""Hold a frame time: always the most accurate network of this folder that answers in time.

pip install onnxruntime numpy pillow
python adaptive.py photo.jpg [more.jpg ...] --ms 8
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnxruntime as ort
from PIL import Image
from predict import Classifier, in_words, spelled_out, tell

HERE = Path(__file__).resolve().parent


LEVELS = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))["levels"]


def opened() -> list[Classifier]:
    """Every network, the fastest first; they share one arena and what is left of the file."""
    kind = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, None)
    options = ort.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.disable_prepacking", "1")  # it copies weights
    return [Classifier(HERE / level["file"], options) for level in LEVELS]


class Adaptive:
    """Classifies frames in at most `ms` milliseconds each, if the fastest network can."""

    def __init__(self, ms: float) -> None:
        self.ms, self.slower, self.networks = ms, 1.0, opened()
        self.top1 = [level["top1"] for level in LEVELS]
        black = Image.new("RGB", (256, 256))
        self.cost = [min(self.timed(net, black)[2] for _ in range(5)) for net in self.networks]
        self.level = self.best_of(range(len(self.networks)))

    def best_of(self, levels: Iterable[int]) -> int:
        """The most accurate of some networks; the fastest of all where there are none."""
        return max(levels, key=lambda level: self.top1[level], default=0)

    def timed(self, network: Classifier, frame: Image.Image) -> tuple[Any, float, float]:
        """The best classes, and the milliseconds of preparing the frame and of the network."""
        begin = time.perf_counter()
        prepared = network.prepare(frame)
        ready = time.perf_counter()
        found = network.run(prepared)
        end = time.perf_counter()
        return network.named(found), 1e3 * (ready - begin), 1e3 * (end - ready)

    def best(self, frame: Image.Image) -> list[tuple[str, float]]:
        """The best classes of a frame; chooses the network for the next one."""
        found, preparing, ms = self.timed(self.networks[self.level], frame)
        slower = ms / self.cost[self.level]  # than on a quiet machine; a rise counts at once
        self.slower = max(slower, 0.9 * self.slower + 0.1 * slower)
        left = (self.ms - preparing) / self.slower
        self.level = self.best_of(n for n, cost in enumerate(self.cost) if cost <= left)
        return list(found)


def frame_ms(text: str) -> float:
    """The time of a frame, as given on the command line."""
    ms = float(text)
    if not ms > 0:
        raise argparse.ArgumentTypeError(f"must be milliseconds above 0, found {text}")
    return ms


def main() -> int:
    """Read the command line; 1 where a picture could not be read."""
    spelled_out()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--ms", type=frame_ms, required=True, help="of a frame")
    given = parser.parse_args()
    adaptive = Adaptive(given.ms)

    def told(image: Image.Image) -> str:
        network = f"network {adaptive.level + 1} of {len(adaptive.networks)}"
        return f"{network}: {in_words(adaptive.best(image))}"

    codes: list[int] = [tell(path, told) for path in given.images]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
