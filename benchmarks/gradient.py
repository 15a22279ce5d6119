"""Searching by gradient, by chance and by our default at equal cost, on the embedded images.

    python benchmarks/gradient.py --limit-ms 0.1 --seeds 0 1 2

All look for a subnet of space ``demo`` within one latency on this machine:

proxylessnas, proxylessnas_reinforce, tunas
             the shipped recipes: weights and choices learn together, the most probable subnet
random       random subnets that are as fast as the limit allows (within 2 %), each trained
             from scratch for one epoch, the best on the held-out images; as many as fit into
             the CPU time of the most expensive of the three
default      what `supernet train` and `supernet search` do: the recipe of the demo, shortened,
             a predictor learned from measured subnets, a search by it

Each found architecture is then trained from scratch, all with the same recipe and for the same
number of epochs, as the papers do, with as many seeds as asked for by ``--trainings``; what
counts is the accuracy and the loss on the test images. Cost is CPU time, since machines are
shared.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from records import add_hardware, write_result

from supernet.data import load_dataset
from supernet.evaluate import Split
from supernet.latency import LatencyPredictor, this_machine
from supernet.search import load_result
from supernet.space import Space, Subnet, decode, encode, load_space, sample
from supernet.train import Phase, Recipe, aimed, load_recipe, scaled
from supernet.train.sampling import step_rng
from supernet.workflow.quality import standalone_space
from supernet.workflow.request import SearchRequest
from supernet.workflow.search import search_run
from supernet.workflow.train import train_supernet

GRADIENT = ("proxylessnas", "proxylessnas_reinforce", "tunas")
BAND = 0.02


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all searches have in common."""

    space: Space
    predictor: LatencyPredictor
    limit_ms: float
    epochs: float | None
    lr: float | None
    default_epochs: float
    pairs: int
    final_epochs: float
    trainings: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search ended with."""

    subnet: Subnet
    cpu_s: float
    facts: dict[str, Any]


def by_gradient(setting: Setting, name: str, seed: int, folder: Path) -> Found:
    """One of the recipes that search."""
    begun = time.process_time()
    recipe = aimed(load_recipe(name), "this_machine", setting.limit_ms)
    if setting.lr:
        lr = setting.lr
        searching = [p.search and replace(p.search, lr=lr) for p in recipe.phases]
        phases = tuple(replace(p, search=s) for p, s in zip(recipe.phases, searching))
        recipe = replace(recipe, phases=phases)
    if setting.epochs:
        recipe = scaled(recipe, setting.epochs)
    run = train_supernet(load_space("demo"), recipe, folder=folder, seed=seed)
    saved = load_result(run.searches / recipe.phases[0].name)
    last = run.learned()[-1]
    facts = {key: last[key] for key in ("expected_ms", "entropy")}
    return Found(subnet=saved.subnet, cpu_s=time.process_time() - begun, facts=facts)


def by_chance(setting: Setting, budget_s: float, seed: int, folder: Path) -> Found:
    """Random subnets at the limit, each trained for one epoch, until the time is up."""
    begun = time.process_time()
    rng = step_rng(seed, "random search", 0)
    losses: list[tuple[float, float]] = []
    subnets: list[Subnet] = []
    cost = 0.0
    while time.process_time() - begun + cost <= budget_s or not subnets:
        since = time.process_time()
        subnets.append(at_limit(setting, rng))
        score = trained(setting, subnets[-1], 1.0, seed, folder / f"{len(subnets)}", "holdout")
        losses.append((score["loss"], score["top1"]))
        cost = time.process_time() - since
    best = int(np.argmin([loss for loss, _ in losses]))
    facts = {"candidates": len(subnets), "holdout_top1": [top1 for _, top1 in losses]}
    return Found(subnet=subnets[best], cpu_s=time.process_time() - begun, facts=facts)


def at_limit(setting: Setting, rng: np.random.Generator) -> Subnet:
    """A random subnet that is at most 2 % faster than the limit."""
    while True:
        genes = sample(setting.space, 1000, rng)
        ms = setting.predictor.ms(genes)
        near = np.flatnonzero((ms <= setting.limit_ms) & (ms >= (1 - BAND) * setting.limit_ms))
        if len(near):
            return decode(setting.space, genes[near[:1]])[0]


def by_default(setting: Setting, seed: int, folder: Path) -> Found:
    """A supernet, a predictor from measured subnets, a search."""
    begun = time.process_time()
    recipe = scaled(load_recipe("demo"), setting.default_epochs)
    run = train_supernet(load_space("demo"), recipe, folder=folder, seed=seed)
    request = SearchRequest(
        targets=("this_machine",),
        limits={"latency": setting.limit_ms},
        pairs=setting.pairs,
        rounds=1,
        budget=10_000,
        seed=seed,
    )
    outcome = search_run(run, request)
    return Found(subnet=outcome.subnet, cpu_s=time.process_time() - begun, facts={})


def trained(
    setting: Setting, subnet: Subnet, epochs: float, seed: int, folder: Path, split: Split
) -> dict[str, float]:
    """Top-1 and loss of a subnet that was trained from scratch."""
    space = standalone_space(setting.space, subnet, dropout=0.0)
    warmup = min(0.5, epochs / 4)
    phase = Phase(name="alone", epochs=epochs, warmup_epochs=warmup, lr=0.2, subnets=("largest",))
    shared = load_recipe("demo")
    recipe = Recipe(
        name="alone",
        batch_size=shared.batch_size,
        precision=shared.precision,
        weight_decay=shared.weight_decay,
        label_smoothing=shared.label_smoothing,
        phases=(phase,),
    )
    run = train_supernet(space, recipe, folder=folder, seed=seed)
    evaluator = run.evaluator()
    score = evaluator.subnet_score(evaluator.supernet.largest, split)
    return {"top1": score.top1, "loss": score.loss}


def one_seed(setting: Setting, seed: int, arms: list[str]) -> dict[str, Any]:
    """All searches of a seed, each followed by the trainings of what it found."""
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)

        def keep(name: str, found: Found) -> None:
            rows[name] = told(setting, found, seed, folder / f"{name}-final")
            print(name, seed, json.dumps(rows[name]), flush=True)

        for name in [arm for arm in GRADIENT if arm in arms]:
            keep(name, by_gradient(setting, name, seed, folder / name))
        if "random" in arms:
            budget_s = max(row["search_cpu_s"] for row in rows.values())
            keep("random", by_chance(setting, budget_s, seed, folder / "random"))
        if "default" in arms:
            keep("default", by_default(setting, seed, folder / "default"))
    return rows


def told(setting: Setting, found: Found, seed: int, folder: Path) -> dict[str, Any]:
    """A found architecture with its figures after its own training."""
    ms = float(setting.predictor.ms(encode(setting.space, [found.subnet]))[0])
    finals = [
        trained(
            setting, found.subnet, setting.final_epochs, 100 * seed + n, folder / str(n), "test"
        )
        for n in range(setting.trainings)
    ]
    return {
        "top1": statistics.mean(final["top1"] for final in finals),
        "loss": statistics.mean(final["loss"] for final in finals),
        "top1_of_each": [final["top1"] for final in finals],
        "loss_of_each": [final["loss"] for final in finals],
        "latency_ms": ms,
        "of_limit": ms / setting.limit_ms,
        "search_cpu_s": found.cpu_s,
        "subnet": str(found.subnet),
        **found.facts,
    }


def main() -> None:
    """Search with all seeds, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--limit-ms", type=float, required=True)
    parser.add_argument("--epochs", type=float, help="of the recipes that search")
    parser.add_argument("--lr", type=float, help="of the choices; as the recipes say if not given")
    parser.add_argument("--default-epochs", type=float, default=3.0, help="of the demo's recipe")
    parser.add_argument("--pairs", type=int, default=40, help="measured by the default")
    parser.add_argument("--final-epochs", type=float, default=6.0)
    parser.add_argument("--trainings", type=int, default=2, help="of each found architecture")
    parser.add_argument("--arms", nargs="+", default=[*GRADIENT, "random", "default"])
    parser.add_argument("--processes", type=int, default=1, help="seeds at a time, a thread each")
    add_hardware(parser)
    options = parser.parse_args()
    data = load_dataset("fashion_mnist", resolution=32)
    space = replace(load_space("demo"), num_classes=len(data.classes), in_channels=data.in_channels)
    known = asked(options)
    table = this_machine(space)
    setting = Setting(
        space=space,
        predictor=table.predictor(space),
        **{name: known[name] for name in Setting.__dataclass_fields__ if name in known},
    )
    with ProcessPoolExecutor(options.processes, initializer=torch.set_num_threads, initargs=(1,),
                             mp_context=multiprocessing.get_context("spawn")) as pool:  # fmt: skip
        rows = {pool.submit(one_seed, setting, seed, options.arms): seed for seed in options.seeds}
        found: dict[int, dict[str, Any]] = {}
        for row in as_completed(rows):
            found[rows[row]] = row.result()
            write({seed: found[seed] for seed in sorted(found)}, known, options.hardware)


def asked(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, without where it is written."""
    return {name: value for name, value in vars(options).items() if name != "hardware"}


def write(found: dict[int, dict[str, Any]], known: dict[str, Any], hardware: str) -> None:
    """Write what is known of the seeds so far, with the gains on random search."""
    gains = {
        name: {
            "top1": [seed[name]["top1"] - seed["random"]["top1"] for seed in found.values()],
            "loss": [seed["random"]["loss"] - seed[name]["loss"] for seed in found.values()],
        }
        for name in next(iter(found.values()))
        if name != "random" and all("random" in seed for seed in found.values())
    }
    print(json.dumps(gains))
    body = {"space": "demo", "setting": known, "seeds": found, "gain_on_random": gains}
    print(write_result("gradient", hardware, ("torch", "numpy"), body), flush=True)


if __name__ == "__main__":
    main()
