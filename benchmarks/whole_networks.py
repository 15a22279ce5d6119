"""How wrong tables from 200 whole networks are, on GPUs, TPUs and FPGAs.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/whole_networks.py

Each seed draws the networks to fit to; all others that were measured test. The files are
published ones, looked for in `$SUPERNET_PUBLISHED`, else in `shared/published` beside the
repository. From the command line the same is, for one column and one draw of networks:

    supernet latency fit some.npz --space mnasnet_accel --column x --unit images/s -o t.json
    supernet latency check t.json --networks others.npz --column x --unit images/s
"""

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from records import add_hardware, published, require_one_thread, write_result

from supernet.latency import MeasuredNetworks, Unit, fit_networks, read_networks
from supernet.metrics import kendall_tau, mean_absolute_percentage_error
from supernet.space import Space, load_space, one_hot

ACCEL = [f"throughput_{name}" for name in ("a100", "3090", "tpuv2", "tpuv3", "vck190", "zcu102")]
FPGAS = ["latency_vck190", "latency_zcu102"]
GPUS = [
    f"lat_{gpu}_{n}" for n in (1, 32, 64) for gpu in ("2080ti", "titan_rtx", "titan_xp", "v100")
]
SETS: tuple[tuple[str, str, Unit, list[str]], ...] = (
    ("accuracy/accel_nasbench_mnasnet.npz", "mnasnet_accel", "images/s", ACCEL),
    ("accuracy/accel_nasbench_mnasnet.npz", "mnasnet_accel", "ms", FPGAS),
    ("latency/ofa_mbv3_gpus.npz", "mobilenet_v3", "ms", GPUS),
)
"""File, space, unit and columns."""

Values = npt.NDArray[np.float64]
Figures = dict[str, float]


def columns() -> Iterator[tuple[str, Space, MeasuredNetworks]]:
    """Every column with its networks."""
    for file, name, unit, names in SETS:
        space = load_space(name)
        for column in names:
            yield column, space, read_networks(published(file), space, column, unit=unit)


def drawn(space: Space, data: MeasuredNetworks, count: int, seed: int) -> Figures:
    """One fit and its error on all networks that it did not see."""
    order = np.random.default_rng(seed).permutation(len(data.ms))
    fit, test = order[:count], order[count:]
    start = time.process_time()
    table = fit_networks(space, data.genes[fit], data.ms[fit], target="own", device={})
    seconds = time.process_time() - start
    predicted, truth = table.predictor(space).ms(data.genes[test]), data.ms[test]
    some = np.arange(len(test))[:2000]
    plain = additive(space, data, fit)
    return {
        "mape": mean_absolute_percentage_error(predicted, truth),
        "images_per_s_mape": mean_absolute_percentage_error(1 / predicted, 1 / truth),
        "kendall": kendall_tau(predicted[some], truth[some]),
        "within_5_percent": 100 * float((np.abs(predicted / truth - 1) <= 0.05).mean()),
        "held_out_mape": table.held_out.mape,
        "additive_mape": mean_absolute_percentage_error(plain[test], truth),
        "fit_cpu_s": seconds,
    }


def additive(space: Space, data: MeasuredNetworks, fit: npt.NDArray[np.int64]) -> Values:
    """Least relative squares over one-hot choices; predictions of all networks."""
    hot = np.hstack([np.ones((len(data.ms), 1)), one_hot(space, data.genes)]).astype(np.float64)
    relative = hot[fit] / data.ms[fit, None]
    ridge = 1e-3 * np.median(1 / data.ms[fit]) ** 2 * len(fit) * np.eye(hot.shape[1])
    found = np.linalg.solve(relative.T @ relative + ridge, relative.sum(axis=0))
    predicted: Values = hot @ found
    return predicted


def summary(draws: list[Figures]) -> dict[str, Figures]:
    """Mean and range of every figure."""
    return {
        key: {
            "mean": float(np.mean([each[key] for each in draws])),
            "low": min(each[key] for each in draws),
            "high": max(each[key] for each in draws),
        }
        for key in draws[0]
    }


def main() -> None:
    """Fit, test, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--networks", type=int, default=200, help="to fit to")
    add_hardware(parser, "1cpu")
    options = parser.parse_args()
    require_one_thread()
    found: dict[str, Any] = {}
    for name, space, data in columns():
        draws = [drawn(space, data, options.networks, seed) for seed in options.seeds]
        found[name] = {"space": space.name, "not_measured": data.left_out, **summary(draws)}
        print(name, json.dumps(found[name]), flush=True)
    body = {"seeds": options.seeds, "networks": options.networks, "columns": found}
    print(write_result("whole_networks", options.hardware, (), body))


if __name__ == "__main__":
    main()
