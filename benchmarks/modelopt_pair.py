"""NVIDIA's Model Optimizer (`modelopt.torch.nas`, AutoNAS) beside us, on one network and images.

    OMP_NUM_THREADS=1 python benchmarks/modelopt_pair.py --data FOLDER --seeds 0 1 2

Two networks: torchvision's `mobilenet_v2` from scratch, and EfficientNet-Lite0 (timm's
`tf_efficientnet_lite0`) with its published weights. The package turns the library's own network
into a supernet by its default rules. Ours is the space whose largest subnet is that network: of
`mobilenet_v2` the shipped one with kernels of 3 alone, since the network has no others. Same images
in the same order and views, same input size, hold-out, batch, optimiser, highest rate, precision.

Seconds are of the processors, so that other programs decide nothing. Both train for the same:
steps of both are timed in turn, and seconds become steps. Theirs is one random subnet a step,
which the package draws, by one cosine; ours the recipe that `supernet plan` takes. Both search for
the same seconds by the accuracy on the same hold-out images under one limit of multiply-adds: its
evolution, and `supernet search --measure`. Winners are recalibrated alike, tested on all test
images, finetuned for the same seconds by the same plain loop, and tested again.

Rows are written at once; those that today's file holds are not made again. `--facts` adds what
both make of other networks, and what the package says when it is asked for more. Needs
`pip install nvidia-modelopt torchprofile==0.0.4`.
Writes `benchmarks/results/modelopt_pair_<hardware>_<date>.json`.
"""

import argparse
import json
import math
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import modelopt_side as side
from modelopt_training import NETWORKS, Case, seconds_of_finetuning, tuned
from records import add_hardware, result_path, run_told, write_result
from torch import nn

from supernet import load_space
from supernet.evaluate import Evaluator
from supernet.evaluate.norms import recalibrate
from supernet.models import Supernet
from supernet.runs import Run
from supernet.space import Space, count_subnets, encode, macs_of
from supernet.space.layout import layout_of
from supernet.workflow.request import SearchRequest
from supernet.workflow.search import search_run
from supernet.workflow.start import SPACES

SOURCES = (
    "torchvision:mobilenet_v2",
    "torchvision:mobilenet_v3_large",
    "torchvision:resnet18",
    "torchvision:efficientnet_b0",
    "torchvision:convnext_tiny",
    "timm:mobilenetv2_100",
    "timm:tf_efficientnet_lite0",
    "timm:mobilenetv3_large_100",
    "timm:resnet50d",
)
"""Networks that both are asked to make a supernet of."""
PACKAGES = ("torch", "torchvision", "timm", "nvidia-modelopt", "supernet")
POPULATION, PARENTS = 20, 5
_SETTINGS = {
    "size",
    "batch_size",
    "share",
    "images",
    "seconds",
    "search_seconds",
    "finetune_seconds",
}


def described(space: Space) -> dict[str, Any]:
    """How many subnets of ours there are, and how many choices of each kind vary."""
    kinds = Counter(dimension.kind for dimension in layout_of(space).genes)
    return {"subnets": count_subnets(space), "varied": dict(kinds)}


def opened(source: str) -> nn.Module:
    """A library's network with random weights."""
    library, _, name = source.partition(":")
    if library == "timm":
        import timm

        made: nn.Module = timm.create_model(name)
        return made
    from torchvision import models

    found: nn.Module = models.get_model(name)
    return found


def facts(size: int) -> dict[str, Any]:
    """What each makes of other people's networks, and what the package says when asked for more."""
    theirs = side.sources(SOURCES, opened)
    ours = {s: described(load_space(SPACES[s])) if s in SPACES else None for s in SOURCES}
    small = opened(SOURCES[0])
    return {
        "networks": {s: {"modelopt": theirs[s], "supernet": ours[s]} for s in SOURCES},
        "modelopt_channels_last": side.refusal(opened(SOURCES[0])),
        "modelopt_latency": side.latency_told(side.convert(small), size),
    }


class Judge:
    """Measures networks of both sides alike."""

    def __init__(self, case: Case, images: int) -> None:
        self._size, self._images = case.size, images
        self._evaluator = Evaluator(Supernet(case.space), case.dataset)

    def holdout(self, network: nn.Module) -> float:
        """Percent of the hold-out images of a search, with the statistics that it has."""
        return self._evaluator.score(network, self._size, "holdout", images=self._images).top1

    def test(self, network: nn.Module) -> float:
        """Percent of the test images, with the statistics that it has."""
        return self._evaluator.top1(network.eval(), self._size, "test")

    def recalibrated(self, network: nn.Module) -> float:
        """Percent of the test images, with new statistics."""
        recalibrate(network, self._evaluator.views("calibration", self._size))
        return self.test(network)


def theirs(case: Case, judge: Judge, steps: int, limit: float, seconds: float) -> dict[str, Any]:
    """Train and search with the package; `network` is the winner."""
    model, trained_s = case.train_theirs(steps)
    row = side.described(model) | {"trained_s": trained_s, "largest_test": judge.test(model)}
    found = side.search(
        model,
        limit,
        case.size,
        judge.holdout,
        seconds=seconds,
        population=POPULATION,
        parents=PARENTS,
    )
    return row | {
        "search_s": found.seconds,
        "tried": found.tried,
        "scored": found.scored,
        "holdout": found.score if math.isfinite(found.score) else None,
        "macs": side.macs(found.network, case.size),
        "network": found.network,
    }


def ours(
    case: Case, judge: Judge, steps: int, limit: float, seconds: float, images: int, folder: Path
) -> dict[str, Any]:
    """Train and search with ours; `network` is the winner."""
    run, trained_s = case.train_ours(steps, folder)
    row = described(run.space()) | {
        "trained_s": trained_s,
        "largest_test": judge.test(run.evaluator().network(run.supernet().largest)),
    }
    since = time.process_time()
    request = SearchRequest(
        objectives=("macs",),
        limits={"macs": limit},
        measure=True,
        images=images,
        seconds=seconds,
        seed=case.seed,
    )
    with patch("supernet.search.clock.time", SimpleNamespace(perf_counter=time.process_time)):
        outcome = search_run(run, request)
    taken = time.process_time() - since
    network = Run(run.folder).evaluator().network(outcome.subnet)
    return row | {
        "search_s": taken,
        "tried": len(outcome.result),
        "scored": len(outcome.result),
        "holdout": judge.holdout(network),
        "macs": float(macs_of(run.space(), encode(run.space(), [outcome.subnet]))[0]),
        "subnet": str(outcome.subnet),
        "network": network,
    }


def measured(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one network and seed."""
    judge, images = Judge(case, options.images), options.images
    limit = options.share * case.largest_macs
    steps, step_s = case.steps(options.seconds, options.rounds)
    print(case.name, steps, step_s, flush=True)
    left = limit, options.search_seconds
    sides = {"modelopt": theirs(case, judge, steps["modelopt"], *left)}
    print({key: value for key, value in sides["modelopt"].items() if key != "network"}, flush=True)
    with TemporaryDirectory() as place:
        sides["supernet"] = ours(case, judge, steps["supernet"], *left, images, Path(place) / "run")
    networks = [own.pop("network") for own in sides.values()]
    for own, network in zip(sides.values(), networks):
        own["of_limit"] = own["macs"] / limit
        own["test"] = judge.recalibrated(network)
    tuning_s = seconds_of_finetuning(case, networks, options.rounds)
    for (name, own), network, step in zip(sides.items(), networks, tuning_s):
        own["steps"], own["step_s"] = steps[name], step_s[name]
        own["finetuning_steps"] = max(1, round(options.finetune_seconds / step))
        own["test_finetuned"] = judge.recalibrated(tuned(case, network, own["finetuning_steps"]))
    return {
        "network": case.name,
        "seed": case.seed,
        "settings": settings_of(options),
        "images": {name: len(getattr(case.dataset, name)) for name in ("train", "holdout", "test")},
        "largest_macs": case.largest_macs,
        "largest_macs_modelopt": side.macs(case.their_network(), case.size),
        "limit_macs": limit,
        "our_start_s": step_s["our_start"],
        **sides,
    }


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What rows must have in common to be seeds of one thing."""
    chosen = {key: value for key, value in vars(options).items() if key in _SETTINGS}
    found = {"data": Path(options.data).name, "population": POPULATION, "parents": PARENTS}
    return chosen | found


def earlier(path: Path) -> dict[str, Any]:
    """What today's file holds, if there is one."""
    if not path.exists():
        return {"rows": []}
    body: dict[str, Any] = json.loads(path.read_text())
    return {key: body[key] for key in ("facts", "rows") if key in body}


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", required=True, help="folder of photographs, or cifar10")
    parser.add_argument(
        "--facts", action="store_true", help="only ask both what they make of other networks"
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--size", type=int, default=64, help="of the images, in pixels")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--share", type=float, default=0.6, help="of the largest's MACs, the limit")
    parser.add_argument("--seconds", type=float, default=240, help="of training, a side")
    parser.add_argument("--search-seconds", type=float, default=180)
    parser.add_argument("--images", type=int, default=1000, help="of the hold-out, for a search")
    parser.add_argument("--finetune-seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=12, help="steps that are timed, a side")
    add_hardware(parser)
    options = parser.parse_args()
    side.require()
    body = earlier(result_path("modelopt_pair", options.hardware))
    if options.facts:
        body["facts"] = facts(options.size)
        print(write_result("modelopt_pair", options.hardware, PACKAGES, body), flush=True)
        return
    settings = settings_of(options)
    done = {(r["network"], r["seed"]) for r in body["rows"] if r["settings"] == settings}
    for seed in options.seeds:
        for name in options.networks:
            if (name, seed) in done:
                continue
            case = Case(
                name=name,
                data=options.data,
                size=options.size,
                batch_size=options.batch_size,
                seed=seed,
            )
            body["rows"].append(measured(case, options))
            print(json.dumps(body["rows"][-1]), flush=True)
            print(write_result("modelopt_pair", options.hardware, PACKAGES, body), flush=True)


if __name__ == "__main__":
    run_told(main)
