"""How far an accuracy is off for want of calibration images, over their number.

    python benchmarks/calibration.py --run runs/demo-20261125-120000

Subnets of all sizes of a trained run; each is recalibrated with the first so many of the
training images, and compared with itself recalibrated with many more. Reported over
subnets: mean and root mean square of the difference in points, on the hold-out images, and
Kendall's tau of the two orders. Writes `benchmarks/results/calibration_<hardware>_<date>.json`
and a plot of it, `.svg`.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from records import add_hardware, run_told, write_result

from supernet.evaluate import Evaluator
from supernet.files import write_text
from supernet.metrics import kendall_tau, root_mean_square_error
from supernet.runs import Run
from supernet.space import decode
from supernet.workflow.accuracies import random_pairs

COUNTS = (100, 250, 500, 1000, 2000)
WIDTH, HEIGHT, MARGIN = 560, 300, 56
SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"
 font-family="sans-serif" font-size="12" fill="#666">
<rect width="100%" height="100%" fill="#fff"/>
<text x="{MARGIN}" y="20">difference of top-1 from the reference, points, RMS over subnets</text>
<text x="{WIDTH - 20}" y="{HEIGHT - 8}" text-anchor="end">calibration images</text>
"""


def scores(run: Run, count: int, subnets: int, images: int) -> np.ndarray[Any, Any]:
    """Top-1 in percent and loss of the subnets, shape ``(N, 2)``."""
    evaluator = Evaluator(run.supernet(), run.dataset(), calibration_images=count)
    chosen = decode(run.space(), random_pairs(run.space(), subnets, seed=1))
    return np.array([evaluator.subnet_score(s, "holdout", images=images) for s in chosen])


def plot(rows: list[dict[str, Any]]) -> str:
    """The error over the number of images, on a logarithmic scale, with bars for its error."""
    counts = np.log([row["calibration_images"] for row in rows])
    most = 1.1 * max(float(row["rms_high"]) for row in rows)

    def y(points: float) -> float:
        return HEIGHT - MARGIN + (2 * MARGIN - HEIGHT) * points / most

    parts, path = [SVG], []
    for points in np.arange(0, most, 0.1 if most < 1 else 0.25):
        line = f'y1="{y(points):.1f}" y2="{y(points):.1f}" stroke="#ddd"'
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - 20}" {line}/>\n')
        parts.append(f'<text x="12" y="{y(points) + 4:.1f}">{points:.2f}</text>\n')
    for row, count in zip(rows, counts):
        share = (count - counts[0]) / (counts[-1] - counts[0])
        x = MARGIN + 20 + share * (WIDTH - 2 * MARGIN - 20)
        low, high, middle = (y(row[key]) for key in ("rms_low", "rms_high", "rms_error"))
        bar = f'x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"'
        parts.append(f'<line {bar} stroke="#2563eb"/>\n')
        parts.append(f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="4" fill="#2563eb"/>\n')
        label = f'x="{x:.1f}" y="{HEIGHT - MARGIN + 20}" text-anchor="middle"'
        parts.append(f"<text {label}>{row['calibration_images']:,}</text>\n")
        path.append(f"{x:.1f},{middle:.1f}")
    line = f'<polyline points="{" ".join(path)}" fill="none" stroke="#2563eb"/>\n'
    return "".join([*parts, line, "</svg>\n"])


def spread(differences: np.ndarray[Any, Any]) -> tuple[float, float]:
    """90 % interval of a root mean square, by drawing subnets anew."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(differences, (2000, len(differences)))
    low, high = np.quantile(np.sqrt((drawn**2).mean(axis=1)), (0.05, 0.95))
    return float(low), float(high)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--subnets", type=int, default=40)
    parser.add_argument("--images", type=int, default=2000, help="of the hold-out")
    parser.add_argument("--reference", type=int, default=5000, help="calibration images")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    add_hardware(parser)
    options = parser.parse_args()
    run = Run(options.run)
    reference = scores(run, options.reference, options.subnets, options.images)
    rows = []
    for count in options.counts:
        found = scores(run, count, options.subnets, options.images)
        low, high = spread((found - reference)[:, 0])
        rows.append(
            {
                "calibration_images": count,
                "mean_error": float((found - reference)[:, 0].mean()),
                "rms_error": root_mean_square_error(found[:, 0], reference[:, 0]),
                "rms_low": low,
                "rms_high": high,
                "kendall": kendall_tau(found[:, 0], reference[:, 0]),
                "kendall_loss": kendall_tau(found[:, 1], reference[:, 1]),
            }
        )
        print(rows[-1], flush=True)
    body = {
        "space": run.space().name,
        "reference_images": options.reference,
        "holdout_images": options.images,
        "subnets": options.subnets,
        "top1": reference[:, 0].tolist(),
        "rows": rows,
    }
    path = write_result("calibration", options.hardware, ("torch", "numpy"), body)
    write_text(path.with_suffix(".svg"), plot(rows))
    print(path)


if __name__ == "__main__":
    run_told(main)
