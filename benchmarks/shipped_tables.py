"""Makes the fitted tables that are shipped, from the figures that others published.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/shipped_tables.py

Writes `latency_tables/mobile_cpu.json` and `mobile_cpu_pixel1.json`: coefficients and
their error, none of the published rows. Those are looked for in `$SUPERNET_PUBLISHED`,
else in `shared/published` beside the repository; without them nothing is written. With
`--check` nothing is written either, and an old file that differs is an error.
"""

import argparse
import sys
from pathlib import Path

from records import PUBLISHED, ROOT

from supernet.latency import LatencyTable, OperatorModel, fit_work_model
from supernet.latency.ofa import read_ofa_tables

TABLES = ROOT / "latency_tables"
HOST = "github.com/han-cai/files (MIT)"


def fitted(
    target: str, device: dict[str, str], files: Path, prior: OperatorModel | None
) -> LatencyTable:
    """A table without rows whose model is fitted to published ones."""
    rows = read_ofa_tables([files], target).rows
    source = f"{len(rows)} rows of {files.relative_to(PUBLISHED)}, {HOST}"
    model = fit_work_model({o: row.ms for o, row in rows.items()}, source=source, prior=prior)
    return LatencyTable(
        target=target,
        device={**device, "runtime": "TensorFlow Lite"},
        protocol={"statistic": "mean per operator inside whole networks, as published"},
        rows={},
        model=model,
    )


def make() -> list[LatencyTable]:
    """Both tables."""
    phone = {"processor": "Galaxy Note10 CPU", "machine": "aarch64"}
    note10 = fitted("mobile_cpu", phone, PUBLISHED / "ofa" / "note10", None)
    phone = {"processor": "Pixel 1 CPU (by the paper)", "machine": "aarch64"}
    trim = PUBLISHED / "proxylessnas" / "mobile_trim.yaml"
    return [note10, fitted("mobile_cpu_pixel1", phone, trim, note10.model)]


def main() -> None:
    """Make, print, write or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="compare with the shipped files")
    options = parser.parse_args()
    if not PUBLISHED.is_dir():
        print(f"skipped: the published tables are not at {PUBLISHED}; set SUPERNET_PUBLISHED")
        return
    for table in make():
        path = TABLES / f"{table.target}.json"
        error = table.model.error
        print(
            f"{table.target}: operators {error.rows_mape:.2f} % (five-fold), "
            f"{error.blocks_mape:.2f} % (blocks left out), {error.sizes_mape:.2f} % (sizes), "
            f"{error.shapes_mape:.2f} % (widths); {error.networks} network sums "
            f"{error.networks_mape:.2f} %, nine in ten within {error.networks_p90:.2f} %, "
            f"with widths left out {error.unseen_p90:.2f} %"
        )
        if not options.check:
            table.save(path)
        elif differs(LatencyTable.load(path).model, table.model):
            sys.exit(f"{path}: differs from what the published tables give")


def differs(one: OperatorModel, other: OperatorModel) -> bool:
    """Whether coefficients are further apart than rounding."""
    names = one.coefficients.keys() | other.coefficients.keys()
    pairs = [(one.coefficients.get(n, -1.0), other.coefficients.get(n, -1.0)) for n in names]
    return any(abs(a - b) > 1e-6 + 1e-4 * abs(b) for a, b in pairs)


if __name__ == "__main__":
    main()
