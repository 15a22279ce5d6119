"""What `outcome` can be asked for."""

import argparse
from pathlib import Path

from records import add_hardware

__all__ = ["parsed"]

PHOTOS = (
    "mobilenet_v2_0.35@64",
    "mobilenet_v3_small@64",
    "mobilenet_v3_small@96",
    "mobilenet_v2_0.5@96",
    "mobilenet_v2_0.75@96",
)
TINY = (
    "mobilenet_v2_0.25@32",
    "mobilenet_v3_small@24",
    "mobilenet_v3_small@32",
    "mobilenet_v2_0.35@32",
    "mobilenet_v2_0.5@32",
)

SIZES = {"scratch": (48, 56, 64), "published": (64, 96, 128)}
"""From random weights as `supernet plan` chooses for minutes, of photographs; of images of 32 px it
takes 24, 28 and 32."""


def parsed(description: str) -> argparse.Namespace:
    """The command line, of a benchmark with this first line."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--data", required=True, help="folder with train/ and val/")
    parser.add_argument("--start", choices=("scratch", "published"), default="scratch")
    parser.add_argument("--minutes", type=float, default=5.0, help="of one network's training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sizes", type=int, nargs="+", default=None, help="inputs of ours")
    parser.add_argument("--space", default="", help="small_photos, or that of the weights")
    parser.add_argument("--networks", nargs="+", default=None, help="NAME@SIZE, of others")
    parser.add_argument("--share", type=float, default=1 / 3, help="of their time, for the front")
    parser.add_argument("--tuned", type=float, default=0.2, help="of the front's, to finetune")
    parser.add_argument("--single-tuned", type=float, default=0.0, help="of the single's")
    parser.add_argument("--tuned-lr", type=float, default=0.0, help="of finetuning; 0: ours")
    parser.add_argument("--pairs", type=int, default=30, help="evaluations of a search")
    parser.add_argument("--candidates", type=int, default=10, help="more of them, the promising")
    parser.add_argument("--probe", type=float, default=0.5, help="share of the time for a try")
    parser.add_argument("--rounds", type=int, default=4, help="in which steps are timed")
    parser.add_argument("--device", default="cpu", help="that trains; latencies are of this CPU")
    parser.add_argument("--work", type=Path, default=None, help="folder that keeps rows and runs")
    parser.add_argument("--out", default=None, help="name of the result")
    add_hardware(parser)
    given = parser.parse_args()
    given.sizes = sorted(given.sizes or SIZES[given.start])
    tiny = given.sizes[-1] < 48
    given.space = given.space or ("demo" if tiny else "")
    given.networks = given.networks or (TINY if tiny else PHOTOS)
    given.out = given.out or f"outcome_{Path(given.data).name}_{given.start}"
    given.work = given.work or Path("runs") / given.out
    return given
