"""Searching by gradient, by chance and by our default at equal cost, on the embedded images.

    OMP_NUM_THREADS=1 python benchmarks/gradient.py --share 0.4 --processes 2

All look for a subnet of space ``demo`` within one latency on this machine, a share of what the
largest subnet takes:

proxylessnas, proxylessnas_reinforce, tunas
             the shipped recipes: weights and choices learn together, the most probable subnet
random       random subnets that are as fast as the limit allows (within 2 %), each trained
             from scratch for one epoch, the best on the held-out images; as many as fit into
             the CPU time of the most expensive other search with that seed
reinforce, netadapt
             the recipe of the demo, shortened, then a search that measures subnets
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
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from measured import at_limit
from records import add_hardware, write_result

from supernet.data import load_dataset
from supernet.evaluate import Split
from supernet.latency import LatencyPredictor, this_machine
from supernet.search import load_result
from supernet.space import Space, Subnet, decode, encode, largest, load_space
from supernet.train import Phase, Recipe, aimed, load_recipe, scaled
from supernet.train.sampling import step_rng
from supernet.workflow.quality import standalone_space
from supernet.workflow.request import SearchRequest
from supernet.workflow.search import search_run
from supernet.workflow.train import train_supernet

GRADIENT = ("proxylessnas", "proxylessnas_reinforce", "tunas")
MEASURED = ("reinforce", "netadapt")
RANDOM, DEFAULT = "random", "default"

Key: TypeAlias = tuple[str, int]
"""Name of the search, and seed."""
Row: TypeAlias = dict[str, Any]


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
    measurements: int
    final_epochs: float


@dataclass(frozen=True)
class Found:
    """What a search ended with."""

    subnet: Subnet
    cpu_s: float
    facts: dict[str, Any]


def by_gradient(setting: Setting, name: str, seed: int) -> Found:
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
    with tempfile.TemporaryDirectory() as place:
        run = train_supernet(load_space("demo"), recipe, folder=Path(place) / "run", seed=seed)
        saved = load_result(run.searches / recipe.phases[0].name)
        last = run.learned()[-1]
    facts = {key: last[key] for key in ("expected_ms", "entropy")}
    return Found(subnet=saved.subnet, cpu_s=time.process_time() - begun, facts=facts)


def by_search(setting: Setting, name: str, seed: int) -> Found:
    """A supernet and a search in it: by our default, or by an algorithm that measures."""
    begun = time.process_time()
    recipe = scaled(load_recipe("demo"), setting.default_epochs)
    request = SearchRequest(
        targets=("this_machine",),
        limits={"latency": setting.limit_ms},
        pairs=setting.pairs,
        rounds=1,
        confirm=0,
        seed=seed,
    )
    if name != DEFAULT:
        request = replace(request, algorithm=name, measure=True, budget=setting.measurements)
    with tempfile.TemporaryDirectory() as place:
        run = train_supernet(load_space("demo"), recipe, folder=Path(place) / "run", seed=seed)
        subnet = search_run(run, request).subnet
    return Found(subnet=subnet, cpu_s=time.process_time() - begun, facts={})


def trained(
    setting: Setting, subnet: Subnet, epochs: float, seed: int, split: Split
) -> tuple[float, float, float]:
    """Top-1, loss and CPU seconds of a subnet that is trained from scratch."""
    begun = time.process_time()
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
    with tempfile.TemporaryDirectory() as place:
        run = train_supernet(space, recipe, folder=Path(place) / "run", seed=seed)
        evaluator = run.evaluator()
        score = evaluator.subnet_score(evaluator.supernet.largest, split)
    return score.top1, score.loss, time.process_time() - begun


def by_chance(pool: Executor, setting: Setting, budget_s: float, seed: int) -> Found:
    """Random subnets at the limit, each trained for one epoch: as many as the time allows."""
    rng = step_rng(seed, "random search", 0)
    subnets: list[Subnet] = []
    scores: list[tuple[float, float, float]] = []
    left = budget_s
    while not scores or left >= statistics.mean(cpu_s for _, _, cpu_s in scores):
        mean_s = statistics.mean(cpu_s for _, _, cpu_s in scores) if scores else budget_s
        count = int(left / mean_s)
        genes = at_limit(setting.space, setting.predictor, setting.limit_ms, count, rng)
        own = decode(setting.space, genes)
        subnets += own
        scores += pool.map(partial(trained, setting, epochs=1.0, seed=seed, split="holdout"), own)
        left = budget_s - sum(cpu_s for _, _, cpu_s in scores)
    best = int(np.argmin([loss for _, loss, _ in scores]))
    facts = {"candidates": len(subnets), "holdout_top1": [top1 for top1, _, _ in scores]}
    return Found(subnet=subnets[best], cpu_s=budget_s - left, facts=facts)


def found_by(pool: Executor, setting: Setting, options: argparse.Namespace) -> dict[Key, Found]:
    """What each search of each seed ends with; random search has the time of the longest."""
    asked = {
        (name, seed): pool.submit(
            by_gradient if name in GRADIENT else by_search, setting, name, seed
        )
        for name in options.arms
        if name != RANDOM
        for seed in options.seeds
    }
    found: dict[Key, Found] = {}
    for key, future in asked.items():
        found[key] = future.result()
        print(*key, found[key], flush=True)
    if RANDOM in options.arms:
        for seed in options.seeds:
            budget_s = max(one.cpu_s for key, one in found.items() if key[1] == seed)
            found[RANDOM, seed] = by_chance(pool, setting, budget_s, seed)
    return found


def found_before(space: Space, rows: dict[str, dict[str, Row]]) -> dict[Key, Found]:
    """What the searches of an earlier result ended with."""
    kept = ("latency_ms", "of_limit", "candidates", "holdout_top1", "expected_ms", "entropy")
    found: dict[Key, Found] = {}
    for name, own in rows.items():
        for seed, row in own.items():
            subnet = decode(space, np.array([row["genes"]], dtype=np.int8))[0]
            facts = {key: row[key] for key in kept if key in row}
            found[name, int(seed)] = Found(subnet, row["search_cpu_s"], facts)
    return found


def told(setting: Setting, found: Found, finals: Sequence[tuple[float, float, float]]) -> Row:
    """A found architecture with its figures after trainings of its own."""
    genes = encode(setting.space, [found.subnet])
    facts = dict(found.facts)
    if "latency_ms" not in facts:
        facts["latency_ms"] = float(setting.predictor.ms(genes)[0])
        facts["of_limit"] = facts["latency_ms"] / setting.limit_ms
    return {
        "top1": statistics.mean(top1 for top1, _, _ in finals),
        "loss": statistics.mean(loss for _, loss, _ in finals),
        "top1_of_each": [top1 for top1, _, _ in finals],
        "loss_of_each": [loss for _, loss, _ in finals],
        "search_cpu_s": found.cpu_s,
        "subnet": str(found.subnet),
        "genes": genes[0].tolist(),
        **facts,
    }


def trained_finally(
    pool: Executor, setting: Setting, found: dict[Key, Found], trainings: int
) -> dict[str, dict[int, Row]]:
    """Rows of all searches by name and seed."""
    finals = {
        (name, seed): [
            pool.submit(trained, setting, one.subnet, setting.final_epochs, 100 * seed + n, "test")
            for n in range(trainings)
        ]
        for (name, seed), one in found.items()
    }
    rows: dict[str, dict[int, Row]] = {}
    for (name, seed), one in found.items():
        row = told(setting, one, [future.result() for future in finals[name, seed]])
        rows.setdefault(name, {})[seed] = row
        print(name, seed, json.dumps(row), flush=True)
    return rows


def gains(rows: dict[str, dict[int, Row]]) -> dict[str, Any]:
    """What each search has over random search, seed by seed."""
    chance = rows.get(RANDOM, {})
    return {
        name: {
            "top1": [own[seed]["top1"] - chance[seed]["top1"] for seed in own],
            "loss": [chance[seed]["loss"] - own[seed]["loss"] for seed in own],
        }
        for name, own in rows.items()
        if name != RANDOM and chance
    }


def options_of() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--share", type=float, default=0.4, help="of the largest's latency")
    parser.add_argument("--epochs", type=float, help="of the recipes that search")
    parser.add_argument("--lr", type=float, help="of the choices; as the recipes say if not given")
    parser.add_argument("--default-epochs", type=float, default=4.0, help="of the demo's recipe")
    parser.add_argument("--pairs", type=int, default=40, help="measured by the default")
    parser.add_argument("--measurements", type=int, default=100, help="by those that measure")
    parser.add_argument("--final-epochs", type=float, default=20.0)
    parser.add_argument("--trainings", type=int, default=2, help="of each found architecture")
    parser.add_argument("--arms", nargs="+", default=[*GRADIENT, *MEASURED, RANDOM, DEFAULT])
    parser.add_argument("--processes", type=int, default=2, help="of a thread each")
    parser.add_argument("--again", type=Path, help="a result: only train what it found again")
    add_hardware(parser)
    return parser.parse_args()


def main() -> None:
    """Search with all seeds, train what is found, print, write."""
    options = options_of()
    data = load_dataset("fashion_mnist", resolution=32)
    space = replace(load_space("demo"), num_classes=len(data.classes), in_channels=data.in_channels)
    predictor = this_machine(space).predictor(space)
    limit_ms = options.share * float(predictor.ms(largest(space))[0])
    known = {name: value for name, value in vars(options).items() if name != "hardware"}
    setting = Setting(
        space=space,
        predictor=predictor,
        limit_ms=limit_ms,
        **{name: known[name] for name in Setting.__dataclass_fields__ if name in known},
    )
    known["limit_ms"] = limit_ms
    with ProcessPoolExecutor(
        options.processes,
        initializer=torch.set_num_threads,
        initargs=(1,),
        mp_context=multiprocessing.get_context("spawn"),
    ) as pool:
        if options.again:
            before = json.loads(options.again.read_text())
            new = ("final_epochs", "trainings", "processes")
            known = before["setting"] | {name: known[name] for name in new}
            known["searched_on"] = before["hardware"]
            found = found_before(space, before["rows"])
        else:
            found = found_by(pool, setting, options)
        rows = trained_finally(pool, setting, found, options.trainings)
    body = {"space": "demo", "setting": known, "rows": rows, "gain_on_random": gains(rows)}
    print(json.dumps(body["gain_on_random"]))
    print(write_result("gradient", options.hardware, ("torch", "numpy"), body), flush=True)


if __name__ == "__main__":
    main()
