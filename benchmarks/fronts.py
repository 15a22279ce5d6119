"""Hypervolume of (top-1, throughput on an A100) by the number of measured networks.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/fronts.py --algorithms nsga2 random
    ... fronts.py --most 200 --algorithms ei optuna:tpe    # at 1,000 many minutes a search
    ... fronts.py --truth macro --most 200                 # of (top-1, FLOPs)

Accel-NASBench as a table: 4,138 networks of which its authors know the ImageNet accuracy under one
training proxy and the throughput of eight devices. Any network of the space has the figures of the
nearest one in the table (Hamming distance, the first of equals). Throughput is known without a
measurement, as latencies are in a search of ours; Optuna by itself is told both as values.
`--truth macro`: NAS-Bench-Macro, where all 6,561 networks of the space are in the table, and the
FLOPs that a network saves beside the largest. Hypervolume is a share of what the table's whole
front has, above its worst values. A chart is written beside the result. What more seeds have shown
of an algorithm is kept, and the same command goes on with the next seed.
"""

import argparse
import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from records import RESULTS, add_hardware, require_one_thread, summary, write_result
from truths import TRUTHS

from supernet.search import Accuracy, Budget, Problem, algorithm, hypervolume, run_search
from supernet.space import Domain, Genes, one_hot
from supernet.space.layout import layout_of

COUNTS = (50, 200, 1000)
CHUNK = 256
OPTUNA = "Optuna itself"
NAMES = (
    *("nsga2", "memetic", "surrogate", "aging", "local", "random"),
    *("optuna:nsga2", "optuna:nsga3", "ei", "optuna:tpe", OPTUNA),
)

Values = npt.NDArray[np.float64]


class EnoughError(Exception):
    """As many networks were measured as are wanted."""


class Table:
    """The figures of the nearest network, and which rows were looked up, in order."""

    def __init__(self, truth: str, most: int) -> None:
        self.truth = TRUTHS[truth]()
        self.space = self.truth.space
        self._one_hot = one_hot(self.space, self.truth.genes).T
        self._found: dict[bytes, int] = {}
        self.figures = np.stack([self.truth.top1, self.truth.second], axis=1)
        self.rows: list[int] = []
        self._most = most

    def nearest(self, genes: Genes) -> npt.NDArray[np.int64]:
        """Row of the nearest network, shape ``(N,)``."""
        keys = [row.tobytes() for row in genes]
        new = np.array([key not in self._found for key in keys], dtype=bool)
        unknown = genes[new]
        for start in range(0, len(unknown), CHUNK):  # what is compared at once stays in the cache
            rows = unknown[start : start + CHUNK]
            same = one_hot(self.space, rows) @ self._one_hot  # genes in which they agree
            self._found.update(zip((row.tobytes() for row in rows), same.argmax(axis=1).tolist()))
        return np.array([self._found[key] for key in keys], dtype=np.int64)

    def top1(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``; each counts as a measurement."""
        rows = self.nearest(genes)
        self.rows += rows.tolist()
        if len(self.rows) >= self._most:
            raise EnoughError
        found: Values = self.figures[rows, 0]
        return found

    def second(self, genes: Genes) -> Values:
        """What is known without a measurement, shape ``(N,)``."""
        found: Values = self.figures[self.nearest(genes), 1]
        return found

    def share(self, count: int) -> float:
        """Of the table's hypervolume that the first rows have."""
        low = self.figures.min(axis=0)
        scale = self.figures.max(axis=0) - low
        losses = (self.figures - low) / scale
        whole = hypervolume(-losses, np.zeros(2))
        return float(hypervolume(-losses[self.rows[:count]], np.zeros(2)) / whole)


def measured(name: str, truth: str, most: int, seed: int) -> Table:
    """One search."""
    table = Table(truth, most)
    objectives = (
        Accuracy(function=table.top1, measured=True),
        Accuracy(function=table.second, name=table.truth.name, unit=table.truth.unit),
    )
    problem = Problem(domain=Domain.of(table.space), objectives=objectives)
    with contextlib.suppress(EnoughError):
        run_search(problem, factory=algorithm(name).factory, budget=Budget(scored=most), seed=seed)
    return table


def measured_by_optuna(truth: str, most: int, seed: int) -> Table:
    """Optuna alone: its default sampler for two values."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table(truth, most)
    layout = layout_of(table.space)
    domain = Domain.of(table.space)

    def objective(trial: Any) -> tuple[float, float]:
        row = [trial.suggest_categorical(g.name, range(len(g.choices))) for g in layout.genes]
        genes = domain.canonical(np.array([row], dtype=np.int8))
        return float(table.top1(genes)[0]), float(table.second(genes)[0])

    study = optuna.create_study(
        directions=["maximize"] * 2, sampler=optuna.samplers.TPESampler(seed=seed)
    )
    with contextlib.suppress(EnoughError):
        study.optimize(objective, n_trials=most)
    return table


def chart(rows: dict[str, Any]) -> str:
    """Medians over the number of measurements, as SVG."""
    width, height, left, top = 640, 400, 60, 20
    names = list(rows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 150} {height + 60}"'
        ' font-family="sans-serif" font-size="12">'
    ]
    lowest = min(row["share"][key]["median"] for row in rows.values() for key in row["share"])
    floor = np.floor(lowest * 20) / 20

    def place(count: int, share: float) -> tuple[float, float]:
        x = np.log(count / COUNTS[0]) / np.log(COUNTS[-1] / COUNTS[0])
        return left + x * (width - left), top + (1 - share) / (1 - floor) * (height - top)

    for share in np.arange(floor, 1.0001, 0.05):
        y = place(COUNTS[0], share)[1]
        lines += [
            f'<line x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>',
        ]
    for count in COUNTS:
        x = place(count, 1)[0]
        lines.append(f'<text x="{x:.1f}" y="{height + 20}" text-anchor="middle">{count:,}</text>')
    ends = sorted(names, key=lambda name: -_last(rows[name]))
    for number, name in enumerate(ends):
        hue = 360 * names.index(name) // len(names)
        shares = rows[name]["share"]
        points = [place(int(count), value["median"]) for count, value in shares.items()]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        y = top + 18 * number + 12
        lines += [
            f'<polyline points="{path}" fill="none" stroke="hsl({hue},70%,40%)" stroke-width="2"/>',
            f'<text x="{width + 12}" y="{y}" fill="hsl({hue},70%,40%)">{name}</text>',
        ]
    middle = (left + width) / 2
    lines.append(
        f'<text x="{middle}" y="{height + 44}" text-anchor="middle">measured networks</text></svg>'
    )
    return "\n".join(lines) + "\n"


def _last(row: dict[str, Any]) -> float:
    return float(list(row["share"].values())[-1]["median"])


def kept_rows(result: str, hardware: str) -> dict[str, Any]:
    """Of the newest result; another process may write it too."""
    newest = max(RESULTS.glob(f"{result}_{hardware}_*.json"), default=None)
    rows: dict[str, Any] = json.loads(newest.read_text())["rows"] if newest else {}
    return rows


def known_shares(name: str, most: int, result: str, hardware: str) -> dict[int, list[float]]:
    """Shares of the seeds that were searched, in their order, by the number of measurements."""
    known = kept_rows(result, hardware).get(name, {}).get("each", {})
    return {n: list(known.get(str(n), ())) for n in COUNTS if n <= most}


def written(name: str, shares: dict[int, list[float]], result: str, hardware: str) -> Path:
    """The file with what the seeds so far have shown of an algorithm."""
    kept = kept_rows(result, hardware)
    row = kept.setdefault(name, {"share": {}})
    for count, each in shares.items():
        row.setdefault("each", {})[str(count)] = each
        if row["share"].get(str(count), {"seeds": 0})["seeds"] <= len(each):
            row["share"][str(count)] = {**summary(each), "seeds": len(each)}
    body = {"rows": {own: kept[own] for own in sorted(kept)}}
    path = write_result(result, hardware, ("optuna",), body)
    path.with_suffix(".svg").write_text(chart(body["rows"]))
    return path


def main() -> None:
    """Search, print, write; a seed that was searched is not searched again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--truth", choices=TRUTHS, default="accel")
    parser.add_argument("--most", type=int, default=COUNTS[-1], choices=COUNTS)
    parser.add_argument("--algorithms", nargs="+", default=NAMES)
    add_hardware(parser, "1cpu")
    options = parser.parse_args()
    require_one_thread()
    result = "fronts" if options.truth == "accel" else f"fronts_{options.truth}"
    for name in options.algorithms:
        run = measured_by_optuna if name == OPTUNA else partial(measured, name)
        shares = known_shares(name, options.most, result, options.hardware)
        for seed in range(min(map(len, shares.values())), options.seeds):
            table = run(options.truth, options.most, seed)
            for count, each in shares.items():
                each[seed : seed + 1] = [table.share(count)]
            path = written(name, shares, result, options.hardware)
            print(
                name,
                seed,
                {count: each[seed] for count, each in shares.items()},
                path.name,
                flush=True,
            )


if __name__ == "__main__":
    main()
