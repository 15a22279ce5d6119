"""How exactly supernets agree with Once-for-All's own code, and how fast they switch subnets.

    OMP_NUM_THREADS=1 python benchmarks/ofa_referee.py

Needs the package `ofa` (pip install 'supernet[dev]'): it is the referee, run as it is.
Both sides get the same random weights and see the same random images; a difference is
the largest one of all logits, divided by the largest logit. What differs by more than
1e-5 is measured again in double precision on both sides, and both figures are kept.
Writes `benchmarks/results/ofa_referee_<hardware>_<date>.json`.
"""

import argparse
import functools
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ofa.imagenet_classification.elastic_nn.utils import set_running_statistics
from ofa_pair import (
    REFEREES,
    RESOLUTION,
    Pair,
    build,
    difference,
    random_images,
    referee_arguments,
)
from records import add_hardware, write_result
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from supernet.evaluate import recalibrate
from supernet.models import Supernet, extract, sort_channels
from supernet.models.ofa import rename_ofa
from supernet.space import (
    Domain,
    Genes,
    Space,
    Subnet,
    decode,
    encode,
    load_space,
    macs_of,
    params_of,
    sample,
)
from supernet.space.layout import layout_of

LIMIT = 1e-5
TRAINED, SORTED, CONTROLS, RECALIBRATED, IN_DOUBLE, COUNTED = 20, 20, 20, 10, 2, 50
ROUNDS, SWITCHES, FORWARDS = 9, 200, 30
BATCHES, BATCH_SIZE = 4, 32  # of recalibration

Figures = dict[str, Any]


def summary(values: Sequence[float]) -> dict[str, float]:
    """How many, the largest, and the middle one."""
    return {"subnets": len(values), "max": max(values), "median": statistics.median(values)}


def subnets_of(pair: Pair, count: int, rng: np.random.Generator) -> list[Subnet]:
    """Random subnets of the pair's space."""
    return decode(pair.space, sample(pair.space, count, rng))


@torch.no_grad()
def differences(pair: Pair, subnet: Subnet, images: Tensor) -> dict[str, float]:
    """Of our activated and of our extracted network from the referee's activated one.

    In train mode also of the batch norm statistics that the forward leaves behind; they
    are then put back on both sides.
    """
    buffers = [*pair.theirs.buffers(), *pair.ours.buffers()] if pair.ours.training else []
    before = [buffer.clone() for buffer in buffers]
    pair.activate(subnet)
    expected = pair.theirs(images)
    found = {"activated": difference(pair.ours(images), expected)}
    if buffers:
        renamed, own = rename_ofa(pair.theirs.state_dict(), pair.space), pair.ours.state_dict()
        keys = [key for key in own if "running" in key]
        found["statistics"] = max(difference(own[key], renamed[key]) for key in keys)
    for buffer, value in zip(buffers, before):
        buffer.copy_(value)
    found["extracted"] = difference(extract(pair.ours, subnet)(images), expected)
    return found


def compare(pair: Pair, cases: Iterable[tuple[Subnet, Tensor]]) -> Figures:
    """Differences in fp32; a case beyond the limit is repeated in double precision."""
    single, double = defaultdict(list), defaultdict(list)
    wide: Pair | None = None
    for subnet, images in cases:
        found = differences(pair, subnet, images)
        beyond = [key for key, value in found.items() if not value <= LIMIT]
        if beyond:
            wide = wide or pair.copy(torch.float64)
            again = differences(wide, subnet, images.double())
        for key, value in found.items():
            single[key].append(value)
        for key in beyond:
            double[key].append(again[key])
    figures: Figures = {key: summary(values) for key, values in single.items()}
    for key, values in double.items():
        figures[key]["beyond_limit_repeated_in_double"] = summary(values)
    return figures


@torch.no_grad()
def controls(pair: Pair, subnets: Sequence[Subnet], rng: np.random.Generator) -> Figures:
    """What the comparison must and must not see.

    `one_wrong_gene`: ours with one gene changed, against the referee without;
    `other_image`: the logits of another image.
    """
    wrong, others, extracted = [], [], []
    for subnet in subnets:
        near = decode(pair.space, Domain.of(pair.space).neighbours(encode(pair.space, [subnet])))
        near = [other for other in near if other.resolution == subnet.resolution]
        images = random_images(2, subnet.resolution)
        pair.activate(subnet)
        expected = pair.theirs(images)
        network = pair.theirs.get_active_subnet().eval()
        extracted.append(difference(pair.ours(images), network(images)))
        others.append(difference(expected[:1], expected[1:]))
        pair.ours.activate(near[rng.integers(len(near))])
        wrong.append(difference(pair.ours(images), expected))
    return {
        "activated_against_the_referees_extracted": summary(extracted),
        "one_wrong_gene": summary(wrong) | {"min": min(wrong)},
        "other_image": summary(others) | {"min": min(others)},
    }


def measure_eval(pair: Pair, count: int, rng: np.random.Generator) -> Figures:
    """One image a subnet, at the subnet's own resolution."""
    pair.train(False)
    subnets = subnets_of(pair, count, rng)
    figures = compare(pair, ((s, random_images(1, s.resolution)) for s in subnets))
    return figures | controls(pair, subnets[:CONTROLS], rng)


def measure_train(pair: Pair, rng: np.random.Generator) -> Figures:
    """Eight images a subnet, at the subnet's own resolution, normalised by themselves."""
    pair.train(True)
    subnets = subnets_of(pair, TRAINED, rng)
    figures = compare(pair, ((s, random_images(8, s.resolution)) for s in subnets))
    pair.train(False)
    return figures


def measure_sorting(pair: Pair, trained: int, rng: np.random.Generator) -> Figures:
    """After both sides ordered their channels; on copies, in eval mode.

    With 2 trained every width is: then only gates may change what a subnet computes.
    """
    changed = []
    ordered = pair.copy()
    ordered.theirs.re_organize_middle_weights(expand_ratio_stage=trained)
    sort_channels(ordered.ours, trained_expand=trained + 1)
    subnets = decode(pair.space, _same_widths(pair.space, SORTED, rng))
    cases = [(subnet, random_images(1, subnet.resolution)) for subnet in subnets]
    figures = compare(ordered, cases)
    with torch.no_grad():
        for subnet, images in cases:
            pair.activate(subnet)
            ordered.activate(subnet)
            changed.append(difference(ordered.theirs(images), pair.theirs(images)))
    return figures | {"changed_by_sorting": summary(changed)}


def _same_widths(space: Space, count: int, rng: np.random.Generator) -> Genes:
    """Random genes with the largest stage widths: the referee does not sort these."""
    genes = sample(space, count, rng)
    for gene in layout_of(space).genes:
        if gene.name.endswith((".width", ".out")):
            genes[:, gene.column] = len(gene.choices) - 1
    return genes


@torch.no_grad()
def measure_recalibration(pair: Pair, rng: np.random.Generator) -> Figures:
    """Extracted networks with the statistics of the same images, each by its own code.

    The first subnets, and every one beyond the limit, in double precision too; fp32 logits
    are then held against double precision ones of the same code: that much is rounding.
    """
    batches = [random_images(BATCH_SIZE, RESOLUTION) for _ in range(BATCHES)]
    images = random_images(8, RESOLUTION)

    def logits(subnet: Subnet, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        data = [batch.to(dtype) for batch in batches]
        pair.activate(subnet)
        theirs = pair.theirs.get_active_subnet().eval().to(dtype)
        set_running_statistics(theirs, [(batch, None) for batch in data])
        ours = extract(pair.ours, subnet).eval().to(dtype)
        recalibrate(ours, data)
        return ours(images.to(dtype)), theirs(images.to(dtype))

    values = defaultdict(list)
    for number, subnet in enumerate(subnets_of(pair, RECALIBRATED, rng)):
        single = logits(subnet, torch.float32)
        values["fp32"].append(difference(*single))
        if number < IN_DOUBLE or values["fp32"][-1] > LIMIT:
            double = logits(subnet, torch.float64)
            values["double"].append(difference(*double))
            values["ours_fp32_against_double"].append(difference(single[0], double[0]))
            values["referee_fp32_against_double"].append(difference(single[1], double[1]))
    figures: Figures = {key: summary(found) for key, found in values.items()}
    figures["fp32"]["beyond_limit"] = sum(value > LIMIT for value in values["fp32"])
    return figures


def measure_counts(pair: Pair, rng: np.random.Generator) -> Figures:
    """MACs and parameters from our arithmetic, and counted in the referee's network."""
    genes = sample(pair.space, COUNTED, rng)
    ours = list(zip(macs_of(pair.space, genes).tolist(), params_of(pair.space, genes).tolist()))
    theirs = []
    for subnet in decode(pair.space, genes):
        pair.activate(subnet)
        network = pair.theirs.get_active_subnet().eval().to("meta")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.empty(1, 3, subnet.resolution, subnet.resolution, device="meta"))
        params = sum(parameter.numel() for parameter in network.parameters())
        theirs.append((counter.get_total_flops() // 2, params))
    macs, params = zip(*ours)
    return {
        "subnets": COUNTED,
        "equal_macs": sum(a[0] == b[0] for a, b in zip(ours, theirs)),
        "equal_params": sum(a[1] == b[1] for a, b in zip(ours, theirs)),
        "macs_range": [min(macs), max(macs)],
        "params_range": [min(params), max(params)],
    }


@torch.no_grad()
def measure_switching(pair: Pair, rng: np.random.Generator) -> Figures:
    """Microseconds of CPU time to make a subnet the active one, both sides in turn.

    The referee only notes its choice and finds channels and weights in the forward, which
    cannot be timed apart: therefore switch and forward together too, of one small image.
    """
    subnets = subnets_of(pair, SWITCHES, rng)
    arguments = [referee_arguments(pair, subnet) for subnet in subnets]
    image = random_images(1, 32)
    fresh = Supernet(load_space(pair.space.name))
    set_theirs, net, theirs = pair.theirs.set_active_subnet, pair.ours.eval(), pair.theirs.eval()

    def ours(net: Supernet, count: int, *, forward: bool = False) -> None:
        for subnet in subnets[:count]:
            net.activate(subnet)
            if forward:
                net(image)

    works: dict[str, tuple[int, Callable[[], object]]] = {
        "ours": (SWITCHES, lambda: ours(net, SWITCHES)),
        "referee": (SWITCHES, lambda: [set_theirs(**a) for a in arguments]),
        "ours_with_forward": (FORWARDS, lambda: ours(net, FORWARDS, forward=True)),
        "referee_with_forward": (
            FORWARDS,
            lambda: [(set_theirs(**a), theirs(image)) for a in arguments[:FORWARDS]],
        ),
    }
    first = _microseconds(SWITCHES, lambda: ours(fresh, SWITCHES))
    for _, work in works.values():
        work()
    rounds = [{key: _microseconds(*work) for key, work in works.items()} for _ in range(ROUNDS)]
    figures: Figures = {"ours_first_time": {"us": first}}
    for key in works:
        times = [one[key] for one in rounds]
        figures[key] = {"us": statistics.median(times), "low": min(times), "high": max(times)}
    for end in ("", "_with_forward"):
        ratios = [one[f"referee{end}"] / one[f"ours{end}"] for one in rounds]
        figures[f"referee_over_ours{end}"] = statistics.median(ratios)
    return figures


def _microseconds(count: int, work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1e6 * (time.process_time() - start) / count


def measure(name: str, count: int, seed: int, folder: Path) -> Figures:
    """All parts for one space."""
    torch.manual_seed(seed)
    rng, started = np.random.default_rng(seed), time.perf_counter()
    pair = build(name, folder)
    parts: dict[str, Callable[[], Figures]] = {
        "eval": lambda: measure_eval(pair, count, rng),
        "train": lambda: measure_train(pair, rng),
        **{
            f"sorted_trained_{trained}": functools.partial(measure_sorting, pair, trained, rng)
            for trained in range(3)
        },
        "recalibrated": lambda: measure_recalibration(pair, rng),
        "counts": lambda: measure_counts(pair, rng),
        "switch_us": lambda: measure_switching(pair, rng),
    }
    figures = {}
    for part, work in parts.items():
        figures[part] = work()
        print(f"{name} {part} ({time.perf_counter() - started:.0f} s)", flush=True)
        for key, value in figures[part].items():
            print(f"    {key:42} {json.dumps(value)}", flush=True)
    return figures


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--spaces", nargs="+", choices=REFEREES, default=list(REFEREES))
    parser.add_argument("--subnets", type=int, default=200, help="of the comparison in eval mode")
    parser.add_argument("--seed", type=int, default=0)
    add_hardware(parser, "1cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started, load = time.perf_counter(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        spaces = {
            name: measure(name, options.subnets, options.seed, Path(folder))
            for name in options.spaces
        }
    body = {
        "threads": 1,
        "load_average_before": round(load, 1),
        "elapsed_s": round(time.perf_counter() - started),
        "limit": LIMIT,
        "spaces": spaces,
    }
    print(write_result("ofa_referee", options.hardware, ("torch", "numpy", "ofa"), body))


if __name__ == "__main__":
    main()
