"""Started by `test_unfinished`: a search whose accuracies are measured, slowly.

    python measuring.py FOLDER CALLS [--resume]

Each measurement adds a line to CALLS: the genes of the subnet.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.search import SearchResult
from supernet.search.api import search
from supernet.space import Genes, load_space, macs_of

SPACE = load_space("demo")
BUDGET = 120
ALGORITHM = "aging"  # learns from each, and takes no time of its own
LIMITS = {"macs": 3e6}


def top1(genes: Genes) -> npt.NDArray[np.float64]:
    """Percent, shape ``(N,)``: more work is better, and a little of chance."""
    found = 40 + 10 * np.log10(macs_of(SPACE, genes) / 1e5) + genes.sum(axis=1) % 3
    return np.asarray(found, dtype=np.float64)


def measured_search(
    folder: Path | None, calls: Path, pause_s: float, **options: Any
) -> SearchResult:
    """The search of all these tests, which writes down what it measures."""

    def accuracy(genes: Genes) -> npt.NDArray[np.float64]:
        for row in genes.tolist():
            with calls.open("a") as handle:
                handle.write(f"{row}\n")
            time.sleep(pause_s)
        return top1(genes)

    asked: dict[str, Any] = {"limits": LIMITS, "budget": BUDGET, "objectives": ["macs"], "seed": 3}
    asked["algorithm"] = ALGORITHM
    return search(SPACE, accuracy=accuracy, folder=folder, **(asked | options))


if __name__ == "__main__":
    measured_search(Path(sys.argv[1]), Path(sys.argv[2]), 0.02, resume="--resume" in sys.argv)
