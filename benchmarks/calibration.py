"""How far an accuracy is off for want of calibration images, over their number.

    python benchmarks/calibration.py --run runs/demo-20261125-120000

Subnets of all sizes of a trained run; each is recalibrated with the first so many of the
training images, and compared with itself recalibrated with many more. Reported over
subnets: mean and root mean square of the difference in points, on the hold-out images, and
Kendall's tau of the two orders. Writes `benchmarks/results/calibration_<hardware>_<date>.json`.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from records import add_hardware, write_result
from supernet.predict.metrics import kendall_tau, root_mean_square_error

from supernet.evaluate import Evaluator
from supernet.runs import Run
from supernet.space import decode
from supernet.workflow.accuracies import random_pairs

COUNTS = (100, 250, 500, 1000, 2000)


def scores(run: Run, count: int, subnets: int, images: int) -> np.ndarray[Any, Any]:
    """Top-1 in percent and loss of the subnets, shape ``(N, 2)``."""
    evaluator = Evaluator(run.supernet(), run.dataset(), calibration_images=count)
    chosen = decode(run.space(), random_pairs(run.space(), subnets, seed=1))
    return np.array([evaluator.subnet_score(s, "holdout", images=images) for s in chosen])


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--subnets", type=int, default=10)
    parser.add_argument("--images", type=int, default=1000, help="of the hold-out")
    parser.add_argument("--reference", type=int, default=5000, help="calibration images")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    add_hardware(parser)
    options = parser.parse_args()
    run = Run(options.run)
    reference = scores(run, options.reference, options.subnets, options.images)
    rows = []
    for count in options.counts:
        found = scores(run, count, options.subnets, options.images)
        rows.append(
            {
                "calibration_images": count,
                "mean_error": float((found - reference)[:, 0].mean()),
                "rms_error": root_mean_square_error(found[:, 0], reference[:, 0]),
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
    print(write_result("calibration", options.hardware, ("torch", "numpy"), body))


if __name__ == "__main__":
    main()
