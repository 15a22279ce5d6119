"""Subnets per second for everything that works on whole populations, on one core.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/populations.py

Writes `benchmarks/results/populations_<hardware>_<date>.json`.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from records import add_hardware, require_one_thread, write_result

from supernet.space import (
    Domain,
    OperatorSum,
    canonical,
    list_spaces,
    load_space,
    one_hot,
)

COUNT, REPEATS = 200_000, 7


def rate(work: Callable[[], object]) -> dict[str, float]:
    """Subnets per second of CPU time: median, lowest and highest of the repeats."""
    work()
    rates = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        rates.append(COUNT / (time.process_time() - start))
    return {"median": statistics.median(rates), "low": min(rates), "high": max(rates)}


def measure(name: str) -> dict[str, dict[str, float]]:
    """Rates for one space."""
    space, rng = load_space(name), np.random.default_rng(0)
    domain = Domain.of(space)
    genes, others = domain.sample(COUNT, rng), domain.sample(COUNT, rng)
    macs = OperatorSum(space, lambda operator: operator.macs)
    works: dict[str, Callable[[], object]] = {
        "macs": lambda: macs(genes),
        "sample": lambda: domain.sample(COUNT, rng),
        "sample_spread": lambda: domain.sample_spread(COUNT, rng),
        "mutate": lambda: domain.mutate(genes, 0.1, rng),
        "crossover": lambda: domain.crossover(genes, others, rng),
        "canonical": lambda: canonical(space, genes),
        "one_hot": lambda: one_hot(space, genes),
    }
    return {key: rate(work) for key, work in works.items()}


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_hardware(parser, "1cpu")
    options = parser.parse_args()
    require_one_thread()
    spaces = {name: measure(name) for name in list_spaces()}
    for name, rates in spaces.items():
        for key, values in rates.items():
            spread = f"{values['low'] / 1e6:.2f} to {values['high'] / 1e6:.2f}"
            print(f"{name:14} {key:10} {values['median'] / 1e6:7.2f} M subnets/s  ({spread})")
    body = {"numpy": np.__version__, "subnets": COUNT, "subnets_per_cpu_second": spaces}
    print(write_result("populations", options.hardware, (), body))


if __name__ == "__main__":
    main()
