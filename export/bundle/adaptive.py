"""Hold a frame time: always the most accurate network of this folder that answers in time.

pip install onnxruntime numpy pillow
python adaptive.py photo.jpg [more.jpg ...] --ms 8
"""

import argparse
import json
import time
from pathlib import Path

import onnxruntime as ort
from PIL import Image
from predict import Classifier

HERE = Path(__file__).resolve().parent


def opened() -> list[Classifier]:
    """Every network, the fastest first; they share one arena and what is left of the file."""
    cpu = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(cpu, None)
    options = ort.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.disable_prepacking", "1")  # it copies weights
    levels = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))["levels"]
    return [Classifier(HERE / level["file"], options) for level in levels]


class Adaptive:
    """Classifies frames in at most `ms` milliseconds each, if the fastest network can."""

    def __init__(self, ms: float) -> None:
        self.ms, self.slower, self.networks = ms, 1.0, opened()
        black = Image.new("RGB", (256, 256))
        self.cost = [min(self.timed(net, black)[1] for _ in range(5)) for net in self.networks]
        self.level = len(self.networks) - 1

    def timed(
        self, network: Classifier, frame: Image.Image
    ) -> tuple[list[tuple[str, float]], float]:
        """The best classes, and the milliseconds that they took."""
        begin = time.perf_counter()
        return network.best(frame), 1e3 * (time.perf_counter() - begin)

    def best(self, frame: Image.Image) -> list[tuple[str, float]]:
        """The best classes of a frame; chooses the network for the next one."""
        found, ms = self.timed(self.networks[self.level], frame)
        slower = ms / self.cost[self.level]  # than on a quiet machine; a rise counts at once
        self.slower = max(slower, 0.9 * self.slower + 0.1 * slower)
        in_time = [n for n, cost in enumerate(self.cost) if cost * self.slower <= self.ms]
        self.level = in_time[-1] if in_time else 0
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--ms", type=float, required=True, help="of a frame")
    given = parser.parse_args()
    adaptive = Adaptive(given.ms)
    for path in given.images:
        level = adaptive.level
        print(
            path,
            f"network {level + 1} of {len(adaptive.networks)}:",
            adaptive.best(Image.open(path)),
        )
