"""NVIDIA's Model Optimizer, called as its users call it: the referee of `modelopt_pair`.

Its code is run, never copied, and nothing of it is in the library. What knows it is here alone.
"""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

__all__ = [
    "Searched",
    "convert",
    "described",
    "latency_told",
    "macs",
    "require",
    "search",
    "sources",
]

_PACKAGES = {"modelopt": "nvidia-modelopt", "torchprofile": "torchprofile==0.0.4"}
"""By their modules. The second counts FLOPs for it; it calls what newer ones do not have."""
_CHANNELS = 3


def require() -> None:
    """End the program unless the package and what it calls are installed."""
    missing = [package for module, package in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise SystemExit(f"this needs NVIDIA's Model Optimizer: pip install {' '.join(missing)}")


def convert(network: nn.Module) -> nn.Module:
    """The network as a supernet by its default rules; changed in place."""
    import modelopt.torch.nas as mtn

    made: nn.Module = mtn.convert(network, "autonas")
    return made


def macs(network: nn.Module, size: int) -> float:
    """Multiply-adds for one image, by its count, which is of two operations each."""
    import modelopt.torch.nas as mtn

    images = torch.zeros(1, _CHANNELS, size, size)
    return float(mtn.inference_flops(network, images, unit=1.0)) / 2


def described(model: nn.Module) -> dict[str, Any]:
    """How many subnets there are, and how many choices of each kind vary."""
    import modelopt.torch.nas as mtn
    from modelopt.torch.opt.utils import search_space_size

    # keys are the module's path, a dot, and the kind
    kinds = Counter(key.rpartition(".")[2] for key in mtn.get_subnet_config(model, True))
    return {"subnets": int(search_space_size(model)), "varied": dict(kinds)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What its evolution ended with."""

    network: nn.Module
    """Plain, in eval mode, with the statistics that it gave it."""
    seconds: float
    """Of the processors."""
    tried: int
    """Different candidates that were drawn."""
    scored: int
    """Those within the limit and above its own lower one, .85 of it: their score was asked for."""
    score: float
    """Of the winner; minus infinity where nothing met the limits."""


def search(
    model: nn.Module,
    limit: float,
    size: int,
    score: Callable[[nn.Module], float],
    *,
    seconds: float,
    population: int,
    parents: int,
) -> Searched:
    """Its evolution over a trained supernet, ended by its own hook when the time is up.

    Args:
        model: becomes the winner.
        limit: multiply-adds.
        size: of images.
        score: of a subnet in eval mode.
        seconds: of the processors that it may take.
        population: subnets of a generation; its default of 100 would never breed in a few minutes.
        parents: the best of them, which the next is bred from.
    """
    import modelopt.torch.nas as mtn
    from modelopt.torch.nas.autonas import EvolveSearcher

    since = time.process_time()

    class Timed(EvolveSearcher):  # type: ignore[misc]  # the package is not known to mypy
        def early_stop(self) -> bool:
            return time.process_time() - since > seconds

    model.eval()
    searcher = Timed()
    best = searcher.search(
        model,
        {"flops": 2 * limit},
        torch.zeros(1, _CHANNELS, size, size),
        {
            "score_func": score,
            "verbose": False,
            "num_iters": 10**6,
            "population_size": population,
            "candidate_size": parents,
        },
    )
    taken = time.process_time() - since
    samples = searcher.state_dict()["samples"].values()
    return Searched(
        network=mtn.export(model).eval(),
        seconds=taken,
        tried=len(samples),
        scored=sum(bool(sample["is_satisfied"]) for sample in samples),
        score=float(best["metric"]),
    )


def latency_told(model: nn.Module, size: int) -> str:
    """What it says when its own runtime here is asked for a latency."""
    import modelopt.torch.nas as mtn

    deployment = {"runtime": "ORT", "accelerator": "CPU"}
    images = torch.zeros(1, _CHANNELS, size, size)
    try:
        _, told = mtn.profile(model, images, {"latency": None}, deployment, verbose=False)
    except Exception as error:  # noqa: BLE001  # whatever it says is the answer
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"{told['max']['latency']:.3g} ms, the largest; others interpolated from FLOPs"


def refusal(network: nn.Module) -> str:
    """What it says to a network in channels-last order, which is faster on most devices."""
    try:
        convert(network.to(memory_format=torch.channels_last))
    except Exception as error:  # noqa: BLE001  # whatever it says is the answer
        return f"{type(error).__name__}: {error}"
    return ""


def sources(names: Sequence[str], make: Callable[[str], nn.Module]) -> dict[str, dict[str, Any]]:
    """What of each network can vary, and what it warned of; the error where it refuses."""
    import modelopt.torch.nas  # noqa: F401  # its own warnings at import are no answers

    found: dict[str, dict[str, Any]] = {}
    for name in names:
        network = make(name)
        layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules())
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                found[name] = described(convert(network))
            except Exception as error:  # noqa: BLE001  # whatever it says is the answer
                found[name] = {"error": f"{type(error).__name__}: {error}"}
        found[name] |= {"layers": layers, "warnings": len(told)}
    return found
