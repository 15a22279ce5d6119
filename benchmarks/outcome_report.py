"""What the rows of `outcome` say: per latency, ours beside theirs, and the aims met or missed."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from resumable import Rows

__all__ = ["body_of", "print_tables"]

SLOWER = 1.01
"""A file that takes longer than this, measured, is not of equal latency."""
POINTS = 1.0
"""By which a single network is to be better."""
SHARE = 1 / 3
"""Of the time of all separate trainings, for the front."""
KINDS = ("front", "single")
_COLUMNS = (
    "ms",
    "theirs",
    *(
        f"{kind}{what}"
        for kind in KINDS
        for what in (", as found", "", " - theirs", ", ms / theirs")
    ),
    *("alone", "alone - theirs", "alone, ms / theirs"),
)


def body_of(rows: Rows, names: Sequence[str], seconds: float) -> dict[str, Any]:
    """The result, of the seeds that are whole.

    Args:
        rows: that there are.
        names: of the networks of others, from the fastest up.
        seconds: that the training of one of them may take.
    """
    known = rows.rows
    seeds = sorted(int(name.rpartition(" ")[2]) for name in known if name.startswith("measured"))
    found = {seed: _of_seed(known, names, seed) for seed in seeds}
    middle = names[len(names) // 2]
    table = {name: _over_seeds([one[name] for one in found.values()]) for name in names}
    times = {kind: [_counted(known, f"{kind}-{seed}") for seed in seeds] for kind in KINDS}
    shares = {
        "front, of all trainings": [s / (seconds * len(names)) for s in times["front"]],
        "single, of one training": [s / seconds for s in times["single"]],
    }
    return {
        "settings": rows.settings,
        "seeds": seeds,
        "by_latency": table,
        "middle": middle,
        "counted_s": times,
        "shares_of_time": shares,
        "aims": _aims(found, middle, shares),
        "rows": known,
    }


def _of_seed(known: Mapping[str, Any], names: Sequence[str], seed: int) -> dict[str, Any]:
    """For each network of others its figures, and those of ours at its latency."""
    ms = known[f"measured seed {seed}"]
    theirs = {name: known[f"{name} seed {seed}"]["test_top1"] for name in names}
    table = {}
    for name in names:
        as_fast = [theirs[other] for other in names if ms[other] <= ms[name] * SLOWER]
        row = {"ms": ms[name], "theirs": theirs[name], "best of theirs as fast": max(as_fast)}
        for kind in KINDS:
            as_found = known.get(f"{kind}-{seed} as found {name}")
            if as_found is None:
                continue
            tuned = known.get(f"{kind}-{seed} tuned {name}")
            row[f"{kind}, as found"] = as_found["test_top1"]
            row[kind] = (tuned or as_found)["test_top1"]
            row[f"{kind} - theirs"] = row[kind] - theirs[name]
            row[f"{kind} - best of theirs as fast"] = row[kind] - max(as_fast)
            row[f"{kind}, ms / theirs"] = ms[f"{kind} {name}"] / ms[name]
        table[name] = row
    alone = known.get(f"alone-{seed} trained")
    if alone is not None:
        row = table[names[len(names) // 2]]
        row["alone"] = alone["test_top1"]
        row["alone - theirs"] = row["alone"] - row["theirs"]
        row["alone, ms / theirs"] = alone["ms"] / alone["ms_theirs"]
    return table


def _counted(known: Mapping[str, Any], job: str) -> float:
    """Seconds of a quiet machine for training, search and finetuning."""
    parts = [row for name, row in known.items() if name.startswith(f"{job} ")]
    return float(sum(row.get("counted_s", 0.0) for row in parts))


def _over_seeds(found: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Mean and spread of each figure, and the values."""
    keys = {key: None for one in found for key in one}
    table = {}
    for key in keys:
        values = [one[key] for one in found if key in one]
        spread = statistics.stdev(values) if len(values) > 1 else None
        table[key] = {"mean": statistics.mean(values), "deviation": spread, "values": values}
    return table


def _aims(
    found: Mapping[int, Mapping[str, Any]], middle: str, shares: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, Any]]:
    """The aims of the question, and whether they are met in the mean over seeds.

    Where no subnet was fast enough, there is none, and the aim is missed.
    """
    gains = [one[middle].get("single - theirs") for one in found.values()]
    ratios = [one[middle].get("single, ms / theirs", 9.0) for one in found.values()]
    single_share = max(shares["single, of one training"], default=9.0)
    names = next(iter(found.values()), {})
    below = {name: [one[name].get("front - theirs") for one in found.values()] for name in names}
    means = {name: _mean(values) for name, values in below.items()}
    front_ratios = [
        one[name].get("front, ms / theirs", 9.0) for one in found.values() for name in one
    ]
    front_share = max(shares["front, of all trainings"], default=9.0)
    gain = _mean(gains)
    return {
        f"single: at least +{POINTS:g} point at equal latency and time": {
            "met": gain is not None
            and gain >= POINTS
            and max(ratios) <= SLOWER
            and single_share <= SLOWER,
            "mean": gain,
            "seeds": gains,
            "slowest": max(ratios, default=None),
            "share of the time": single_share,
        },
        "front: at most a third of the time of separate trainings, no point below theirs": {
            "met": bool(means)
            and all(value is not None and value >= 0 for value in means.values())
            and max(front_ratios) <= SLOWER
            and front_share <= SHARE * SLOWER,
            "mean": means,
            "seeds": below,
            "slowest": max(front_ratios, default=None),
            "share of the time": front_share,
        },
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one of them is missing, or all."""
    there = [value for value in values if value is not None]
    return statistics.mean(there) if there and len(there) == len(values) else None


def print_tables(body: Mapping[str, Any]) -> None:
    """For a reader."""
    print(f"\nseeds {body['seeds']}, test top-1 in percent, mean (deviation)")
    for name, row in body["by_latency"].items():
        cells = [f"{key} {_shown(row[key])}" for key in _COLUMNS if key in row]
        print(f"{name}: {'; '.join(cells)}")
    for what, values in body["shares_of_time"].items():
        print(f"time, {what}: {', '.join(f'{value:.3f}' for value in values)}")
    for aim, found in body["aims"].items():
        print(f"{'met' if found['met'] else 'MISSED'}: {aim}: {found}")


def _shown(value: Mapping[str, Any]) -> str:
    spread = "" if value["deviation"] is None else f" ({value['deviation']:.2f})"
    return f"{value['mean']:.2f}{spread}"
