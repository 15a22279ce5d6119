"""How wrong a latency table is on networks that it never saw, and how long it takes to make.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/latency.py
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/latency.py --busy
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/latency.py --table-time

Operators, the networks of the correction and the unseen networks are visited in turn, in
one run. With `--busy` another process multiplies matrices all the time; it ends with this
one, whatever happens. `--table-time` times the whole table of five resolutions instead.
Writes `benchmarks/results/latency_<what>_<hardware>_<date>.json`.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from records import add_hardware, write_result

from supernet.latency import (
    KitResult,
    Protocol,
    make_plan,
    measure_here,
    table_of,
)
from supernet.latency.backends.onnxruntime import OnnxRuntime
from supernet.latency.kit.plan import FIT, HOLD_OUT
from supernet.metrics import kendall_tau, mean_absolute_percentage_error
from supernet.space import Operator, load_space, total_macs

FIVE = (128, 160, 176, 192, 224)

# Ends when its standard input does, that is when its parent is gone, and after three hours.
BUSY = """
import sys, threading, time, os
import numpy as np
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
a, end = np.ones((512, 512), np.float32), time.monotonic() + 3 * 3600
print("busy", flush=True)
while time.monotonic() < end:
    a @ a
"""

Values = npt.NDArray[np.float64]


@contextlib.contextmanager
def busy_process() -> Iterator[None]:
    """Another process that keeps one core busy for as long as the block lasts."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        yield
    finally:
        process.kill()
        process.communicate()


def scores(predicted: Values, measured: Values) -> dict[str, float]:
    """MAPE, Kendall tau and the share within 5 %."""
    error = np.abs(predicted / measured - 1)
    return {
        "mape": mean_absolute_percentage_error(predicted, measured),
        "kendall": kendall_tau(predicted, measured),
        "within_5_percent": 100 * float((error <= 0.05).mean()),
        "bias_percent": 100 * float((predicted / measured - 1).mean()),
    }


def line_through(x: Values, y: Values) -> Values:
    """Slope and intercept of least relative squares."""
    terms = np.stack([x, np.ones_like(x)], axis=1) / y[:, None]
    found = np.linalg.lstsq(terms, np.ones_like(y), rcond=None)[0]
    return np.asarray(found, dtype=np.float64)


def compare(result: KitResult) -> dict[str, dict[str, float]]:
    """Every way to predict the unseen networks, its line fitted to the same networks."""
    table = table_of([result], "benchmark")
    timings = result.operator_timings()
    fit, unseen = result.network_timings(FIT), result.network_timings(HOLD_OUT)

    def features(networks: list[tuple[list[Operator], Any]]) -> tuple[Values, ...]:
        rows = [
            (
                total_macs(operators) / 1e6,
                sum(timings[o].ms for o in operators),
                sum(timings[o].ms + timings[o].spread_ms for o in operators),
                timing.ms,
            )
            for operators, timing in networks
        ]
        macs, sums, medians, measured = np.array(rows, dtype=np.float64).T
        return macs, sums, medians, measured

    macs, sums, medians, measured = features(unseen)
    fit_macs, fit_sums, _, fit_measured = features(fit)
    by_macs = line_through(fit_macs, fit_measured)
    by_sum = line_through(fit_sums, fit_measured)
    return {
        "table, corrected": scores(np.array(table.held_out.predicted_ms), measured),
        "sum of blocks and a line": scores(by_sum[0] * sums + by_sum[1], measured),
        "plain sum of blocks": scores(sums, measured),
        "sum of usual times, OFA's way": scores(medians, measured),
        "MACs and a line": scores(by_macs[0] * macs + by_macs[1], measured),
        "table, against the fastest run of each network": scores(
            np.array(table.held_out.predicted_ms), np.array([t.least_ms for _, t in unseen])
        ),
    }


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, and compare or time."""
    space = load_space(arguments.space)
    sizes = FIVE if arguments.table_time else (arguments.resolution,)
    unseen = 20 if arguments.table_time else arguments.networks
    plan = make_plan(space, sizes, fit=arguments.fit, hold_out=unseen, seed=arguments.seed)
    protocol = replace(Protocol(), rounds=arguments.rounds, agreement=arguments.agreement)
    with busy_process() if arguments.busy else contextlib.nullcontext():
        start, cpu = time.monotonic(), time.process_time()
        result = measure_here(
            plan,
            OnnxRuntime(precision=arguments.precision),
            protocol=protocol,
            progress=tell(),
        )
        seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    visits = [timing.visits for timing in result.timings.values()]
    table = table_of([result], "benchmark")
    found: dict[str, Any] = {
        "space": space.name,
        "resolutions": list(sizes),
        "precision": arguments.precision,
        "busy": arguments.busy,
        "operators": len(plan.operators),
        "networks": {"fit": arguments.fit, "unseen": unseen},
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "visits": {"mean": float(np.mean(visits)), "most": max(visits)},
        "never_at_full_speed": result.slow,
        "correction": asdict(table.correction),
        "conditions": result.conditions,
        "events": list(result.events),
        "scores": compare(result),
    }
    if not arguments.table_time:
        measured = table.held_out.measured_ms
        found["measured_ms"] = [round(ms, 5) for ms in measured]
        found["predicted_ms"] = [round(ms, 5) for ms in table.held_out.predicted_ms]
    return found


def tell() -> Any:
    """A line of progress every half minute."""
    last = [time.monotonic()]

    def progress(done: int, total: int, text: str) -> None:
        if time.monotonic() - last[0] > 30:
            last[0] = time.monotonic()
            print(f"{text}: {done} of {total}", file=sys.stderr)

    return progress


def main() -> None:
    """Parse, run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--space", default="mobilenet_v3")
    parser.add_argument("--resolution", type=int, default=160)
    parser.add_argument("--networks", type=int, default=60, help="that the table never saw")
    parser.add_argument("--fit", type=int, default=12, help="networks of the correction")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=Protocol().rounds)
    parser.add_argument("--agreement", type=float, default=Protocol().agreement)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--table-time", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    add_hardware(parser)
    arguments = parser.parse_args()
    found = run(arguments)
    for name, score in found["scores"].items():
        print(
            f"{name:47s} MAPE {score['mape']:6.2f} %  tau {score['kendall']:.3f}  "
            f"within 5 % {score['within_5_percent']:5.1f} %  bias {score['bias_percent']:+.1f} %"
        )
    print(f"{found['operators']} operators, {found['seconds']:.0f} s, visits {found['visits']}")
    what = "table_time" if arguments.table_time else "busy" if arguments.busy else "quiet"
    what += "" if arguments.precision == "fp32" else f"_{arguments.precision}"
    body = {"cores": os.cpu_count(), "numpy": np.__version__, **found}
    print(write_result(f"latency_{what}", arguments.hardware, (), body))


if __name__ == "__main__":
    main()
