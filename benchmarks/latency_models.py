"""How wrong latency predictions are where operators were not measured by themselves.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/latency_models.py

Parts, by `--parts`: `order` (measured rows, interpolation or the model: which to believe),
`published` (published networks against tables and models), `networks` (tables from whole
networks against plain additive fits), `few` (a new device from ten networks), `here` (the
same for this machine, measured now), `speed` (subnets per second). Published figures are
looked for in `$SUPERNET_PUBLISHED`, else in `shared/published` beside the repository; parts
that need them are skipped without. Writes `results/latency_models_<hardware>_<date>.json`.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from records import PUBLISHED, add_hardware, require_one_thread, result_path, write_result

from supernet.latency import (
    LatencyTable,
    MeasuredNetworks,
    describe_device,
    fit_networks,
    fit_work_model,
    load_target,
    measure_networks,
    read_networks,
    transfer,
    with_work_model,
)
from supernet.latency.estimate import SizeEstimator
from supernet.latency.ofa import read_ofa_tables
from supernet.latency.targets import shipped_targets
from supernet.metrics import kendall_tau
from supernet.space import (
    Genes,
    Operator,
    OperatorSum,
    Space,
    canonical,
    list_spaces,
    load_space,
    macs_of,
    one_hot,
    sample,
)
from supernet.space.net_config import read_net_config, read_run_config

GPUS = ("2080ti", "titan_rtx", "titan_xp", "v100")
BATCHES = (1, 32, 64)
FITTED, DRAWS, FEW = 2400, 8, 10

Values = npt.NDArray[np.float64]
Figures = dict[str, float]


def figures(predicted: Values, measured: Values) -> Figures:
    """Mean absolute error in percent, rank correlation, share within 5 %."""
    error = np.abs(predicted / measured - 1)
    return {
        "mape": 100 * float(error.mean()),
        "kendall": kendall_tau(predicted, measured),
        "within_5_percent": 100 * float((error <= 0.05).mean()),
    }


# ------------------------------------------------------------------ order


def order() -> dict[str, Any]:
    """Each published Note10 size estimated from others: single operators and sums."""
    sizes = (160, 176, 192, 208, 224)
    folder = PUBLISHED / "ofa" / "note10"
    rows = {
        size: {
            o: row.ms
            for o, row in read_ofa_tables([folder / f"{size}_lookup_table.yaml"], "n").rows.items()
        }
        for size in sizes
    }
    space = load_space("mobilenet_v3_w1.2")
    found: dict[str, list[tuple[float, float]]] = {}
    for size, others in [(s, tuple(o for o in sizes if o != s)) for s in sizes] + [
        (s, (o,)) for s in sizes for o in sizes if o != s
    ]:
        known = {o: ms for other in others for o, ms in rows[other].items()}
        for name, price in estimators(known, several=len(others) > 1):
            key = f"{name}, {'four sizes' if len(others) > 1 else 'one size'} known"
            found.setdefault(key, []).append(compared(price, rows[size], known, space, size))
    return {
        name: {
            "operators_mape": float(np.mean([o for o, _ in values])),
            "sums_mape": float(np.mean([s for _, s in values])),
        }
        for name, values in found.items()
    }


def estimators(
    known: Mapping[Operator, float], *, several: bool
) -> Iterator[tuple[str, Callable[[Operator], float]]]:
    """Ways to price an operator from others."""
    model = fit_work_model(known)
    yield "model", model.ms
    if several:
        yield "interpolated", SizeEstimator(known).ms
    near: dict[Operator, list[tuple[int, float]]] = {}
    for o, ms in known.items():
        near.setdefault(replace(o, height=1, width=1), []).append((o.height, ms / model.ms(o)))

    def scaled(o: Operator) -> float:
        ratios = near[replace(o, height=1, width=1)]
        return model.ms(o) * min(ratios, key=lambda pair: abs(pair[0] - o.height))[1]

    yield "model, scaled by the same block at the nearest size", scaled

    yield "model, scaled by interpolated ratios", SizeEstimator(known, model).ms


def compared(
    price: Callable[[Operator], float],
    truth: Mapping[Operator, float],
    known: Mapping[Operator, float],
    space: Space,
    size: int,
) -> tuple[float, float]:
    """Mean errors in percent: of operators that are not known, and of sums of networks."""
    fresh = [o for o in truth if o not in known and o.height > 1]
    single = np.mean([abs(price(o) / truth[o] - 1) for o in fresh])
    own = replace(space, resolutions=(size,))
    genes = sample(own, 500, np.random.default_rng(0))
    estimate = OperatorSum(own, lambda o: known[o] if o in known else price(o))(genes)
    sums = OperatorSum(own, truth.__getitem__)(genes)
    return 100 * float(single), 100 * float(np.abs(estimate / sums - 1).mean())


# ------------------------------------------------------------------ published networks


def published() -> dict[str, Any]:
    """Networks whose name tells a latency; it is rounded to whole milliseconds."""
    targets = {name: load_target(name) for name in ("mobile_cpu", "mobile_cpu_pixel1")}
    note10 = with_work_model(read_ofa_tables([PUBLISHED / "ofa" / "note10"], "note10"))
    tables = {**targets, "note10, imported": note10}
    judged = {"LG-G8": ("mobile_cpu", "note10, imported"), "pixel2": ("mobile_cpu_pixel1",)}
    judged["note8"] = ("mobile_cpu_pixel1",)
    found: dict[str, Any] = {}
    for folder in sorted((PUBLISHED / "ofa" / "specialized").iterdir()):
        device = folder.name.split("_")[0]
        size = read_run_config(folder / "run.config")
        operators = read_net_config(folder / "net.config", size)
        ms = int(folder.name.split("ms_")[0].rsplit("-", 1)[1])
        for name in judged.get(device, ()):
            predicted = float(sum(tables[name].row_ms(o) for o in operators))
            found.setdefault(f"{device} by {name}", []).append(
                {
                    "published_ms": ms,
                    "predicted_ms": predicted,
                    "percent": 100 * (predicted / ms - 1),
                }
            )
    return found


# ------------------------------------------------------------------ whole networks


def gpu_columns() -> dict[str, MeasuredNetworks]:
    """The published GPU latencies, by column."""
    path, space = PUBLISHED / "latency" / "ofa_mbv3_gpus.npz", load_space("mobilenet_v3")
    names = [f"lat_{gpu}_{batch}" for batch in BATCHES for gpu in GPUS]
    return {name: read_networks(path, space, name) for name in names}


def split(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Networks to fit to, and those to test with."""
    chosen = np.random.default_rng(0).permutation(count)
    return chosen[:FITTED], chosen[FITTED:]


def networks() -> dict[str, Any]:
    """Every column: ours, and three plain additive fits (one coefficient a choice)."""
    space, found = load_space("mobilenet_v3"), {}
    for name, data in gpu_columns().items():
        rest, test = split(len(data.ms))
        start = time.process_time()
        table = fit_networks(space, data.genes[rest], data.ms[rest], target=name, device={})
        seconds = time.process_time() - start
        own = figures(table.predictor(space).ms(data.genes[test]), data.ms[test])
        found[name] = {
            "ours": own | {"held_out_mape": table.held_out.mape, "fit_cpu_s": seconds},
            **additive(space, data, rest, test),
        }
        print(
            name, {key: round(value["mape"], 2) for key, value in found[name].items()}, flush=True
        )
    return found


def additive(
    space: Space, data: MeasuredNetworks, rest: npt.NDArray[np.int64], test: npt.NDArray[np.int64]
) -> dict[str, Figures]:
    """Least squares over one-hot choices: of times, of their logarithms, of relative errors."""
    hot = np.hstack([np.ones((len(data.ms), 1)), one_hot(space, data.genes)]).astype(np.float64)
    ridge = 1e-3 * np.eye(hot.shape[1])
    ms = data.ms

    def solved(matrix: Values, target: Values) -> Values:
        found = np.linalg.solve(matrix.T @ matrix + ridge, matrix.T @ target)
        return np.asarray(found, dtype=np.float64)

    relative = hot[rest] / ms[rest, None]
    return {
        "additive": figures(hot[test] @ solved(hot[rest], ms[rest]), ms[test]),
        "additive, relative": figures(hot[test] @ solved(relative, np.ones(len(rest))), ms[test]),
        "additive, logarithms": figures(
            np.exp(hot[test] @ solved(hot[rest], np.log(ms[rest]))), ms[test]
        ),
    }


# ------------------------------------------------------------------ few networks


def few() -> dict[str, Any]:
    """Ten networks of each GPU; its own tables are pretended to be unknown."""
    space, data = load_space("mobilenet_v3"), gpu_columns()
    tables = {
        name: fit_networks(space, d.genes[:FITTED], d.ms[:FITTED], target=name, device={})
        for name, d in data.items()
    }
    shipped = [load_target(name) for name in shipped_targets()]
    found: dict[str, Any] = {}
    for name, own in data.items():
        device = name.rpartition("_")[0]
        others = [table for key, table in tables.items() if not key.startswith(device)]
        known = {"shipped tables": shipped, "shipped and other GPUs": [*shipped, *others]}
        found[name] = drawn(space, own, known)
        print(name, {key: round(v["mape"], 2) for key, v in found[name].items()}, flush=True)
    return found


def drawn(
    space: Space, data: MeasuredNetworks, known: Mapping[str, list[LatencyTable]]
) -> dict[str, Figures]:
    """Medians, and the worst error, over draws of ten networks; all others test."""
    count = len(data.ms)
    results: dict[str, list[Figures]] = {}
    for seed in range(DRAWS):
        order_of_draw = np.random.default_rng(seed).permutation(min(count, FITTED))
        ten = order_of_draw[:FEW]
        # where tables were fitted to the first networks, the rest tests
        test = np.arange(FITTED, count) if count > FITTED else order_of_draw[FEW:]
        for key, tables in known.items():
            table = transfer(
                space, data.genes[ten], data.ms[ten], known=tables, target="new", device={}
            )
            predicted = table.predictor(space).ms(data.genes[test])
            results.setdefault(key, []).append(figures(predicted, data.ms[test]))
        macs = by_macs(space, data.genes, data.ms, ten)
        results.setdefault("MACs and an offset", []).append(figures(macs[test], data.ms[test]))
    return {
        key: {name: float(np.median([f[name] for f in own])) for name in own[0]}
        | {"worst_mape": max(f["mape"] for f in own)}
        for key, own in results.items()
    }


def by_macs(space: Space, genes: Genes, ms: Values, ten: npt.NDArray[np.int64]) -> Values:
    """A straight line in the multiply-adds through the ten networks."""
    macs = macs_of(space, genes).astype(np.float64)
    line = np.stack([macs, np.ones_like(macs)], axis=1)
    weights, *_ = np.linalg.lstsq(line[ten] / ms[ten, None], np.ones(len(ten)), rcond=None)
    predicted: Values = line @ weights
    return predicted


def here() -> dict[str, Any]:
    """This machine from ten networks, its own tables (by processor) pretended unknown."""
    space = replace(load_space("mobilenet_v3"), resolutions=(160,))
    own = describe_device()["processor"]
    known = [t for t in map(load_target, shipped_targets()) if t.device.get("processor") != own]
    kinds = {"x86_64", "AMD64"}
    arm = [table for table in known if table.device.get("machine") not in kinds]
    stub = LatencyTable(target="here", device=describe_device(), rows={})
    data = measure_networks(stub, space, 60, seed=0)
    sets = {"all other shipped tables": known, "those of ARM": arm}
    return {
        "networks": len(data.ms),
        "known": [table.target for table in known],
        **drawn(space, data, {key: tables for key, tables in sets.items() if tables}),
    }


# ------------------------------------------------------------------ speed


def speed() -> dict[str, Any]:
    """Subnets per second of CPU time with prediction, interval and origins."""
    count, found = 200_000, {}
    for name in list_spaces():
        space = load_space(name)
        genes = canonical(space, sample(space, count, np.random.default_rng(0)))
        predictor = load_target("mobile_cpu").predictor(space)
        predictor.predict(genes[:10])
        rates = []
        for _ in range(5):
            start = time.process_time()
            predictor.predict(genes)
            rates.append(count / (time.process_time() - start))
        found[name] = {"median": float(np.median(rates)), "low": min(rates), "high": max(rates)}
    return found


# ------------------------------------------------------------------ main

PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "order": order,
    "published": published,
    "networks": networks,
    "few": few,
    "here": here,
    "speed": speed,
}
NEED_FILES = ("order", "published", "networks", "few")


def main() -> None:
    """Run the parts, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add_hardware(parser, "1cpu")
    options = parser.parse_args()
    require_one_thread()
    path = result_path("latency_models", options.hardware)
    kept = json.loads(path.read_text())["parts"] if path.is_file() else {}
    for part in options.parts:
        if part in NEED_FILES and not PUBLISHED.is_dir():
            print(f"{part}: skipped, the published figures are not at {PUBLISHED}")
            continue
        kept[part] = PARTS[part]()
        print(part, json.dumps(kept[part], indent=1))
        body = {"numpy": np.__version__, "parts": kept}
        path = write_result("latency_models", options.hardware, (), body)
    print(path)


if __name__ == "__main__":
    main()
