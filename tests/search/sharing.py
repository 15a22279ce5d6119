"""Started by `test_shared_study`: a search that shares its study with one of another process.

    python sharing.py FOLDER STORAGE SEED OWN OTHER

Each measurement adds a line to OWN: the genes of the subnet. After some of them it waits until
there are as many in OTHER, so that both are at work at the same time.
"""

import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.search.api import search
from supernet.space import Genes, load_space, macs_of

SPACE = load_space("demo")
BUDGET = 30
LIMITS = {"macs": 3e6}
MEET = 5
DEADLINE_S = 240.0


def top1(genes: Genes) -> npt.NDArray[np.float64]:
    """Percent, shape ``(N,)``: more work is better, and a little of chance."""
    noise = np.sin(genes.astype(float) @ np.arange(1, genes.shape[1] + 1))
    found: npt.NDArray[np.float64] = 40 + 10 * np.log10(macs_of(SPACE, genes) / 1e5) + noise
    return found


def lines(path: Path) -> list[str]:
    """Of a file that may not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


def main(folder: str, storage: str, seed: str, own: str, other: str) -> None:
    """Search, and keep it in a folder."""

    def accuracy(genes: Genes) -> npt.NDArray[np.float64]:
        for row in genes.tolist():
            with Path(own).open("a") as handle:
                handle.write(f"{row}\n")
        until = time.monotonic() + DEADLINE_S
        while len(lines(Path(own))) == MEET and len(lines(Path(other))) < MEET:
            assert time.monotonic() < until, "the other one is not there"
            time.sleep(0.01)
        time.sleep(0.02)
        return top1(genes)

    search(
        SPACE,
        accuracy=accuracy,
        objectives=["macs"],
        limits=LIMITS,
        budget=BUDGET,
        algorithm="optuna:tpe",
        storage=storage,
        seed=int(seed),
        folder=folder,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
