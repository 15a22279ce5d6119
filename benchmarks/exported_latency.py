"""Exported files against the latency that was predicted for them, in fp32 and in int8.

    OMP_NUM_THREADS=1 python benchmarks/exported_latency.py --spaces demo mobilenet_v3

Random subnets of a space, as ONNX files with the graphs and weights of an export (random ones), on
one thread. The tables of this machine are taken where they exist, else measured first. Files are
timed as `supernet export` times them: beside networks by which the table was checked.
Writes `benchmarks/results/exported_latency_<hardware>_<date>.json`.
"""

import argparse
from functools import partial
from typing import Any

import numpy as np
import torch
from records import add_hardware, require_one_thread, summary, write_result
from supernet.export import Source
from supernet.export.direct import direct_onnx
from supernet.export.formats.onnx import open_onnx
from supernet.export.int8.graphs import prepared
from supernet.export.int8.quantised import quantised
from supernet.export.int8.ranges import images_of, measured_ranges

from supernet.cli.output import progress_bar
from supernet.latency import Loadable, Protocol, measure_drift_corrected, this_machine
from supernet.models import Supernet, extract
from supernet.space import Precision, Space, Subnet, decode, load_space, sample

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


def exported(supernet: Supernet, subnet: Subnet, precision: Precision) -> bytes:
    """The file of a subnet."""
    space = supernet.space
    network = extract(supernet, subnet).eval()
    model = direct_onnx(
        Source(network=network, in_channels=space.in_channels, resolution=subnet.resolution)
    )
    if precision == "int8":
        images = torch.randn(4, space.in_channels, subnet.resolution, subnet.resolution)
        model = prepared(model)
        model = quantised(model, measured_ranges(model, images_of([images], 4), "minmax"))
    file: bytes = model.SerializeToString()
    return file


def _runner(file: bytes) -> Any:
    return open_onnx(file).runner()


def compared(space: Space, precision: Precision, count: int, seed: int) -> dict[str, Any]:
    """Predicted and measured milliseconds of random subnets."""
    torch.manual_seed(seed)
    supernet = Supernet(space)
    genes = sample(space, count, np.random.default_rng(seed))
    with progress_bar() as progress:
        table = this_machine(space, precision=precision, progress=progress)
        files = [exported(supernet, subnet, precision) for subnet in decode(space, genes)]
        models = [Loadable(load=partial(_runner, file), size=len(file)) for file in files]
        protocol = Protocol(rounds=20)
        measured = measure_drift_corrected(table, space, models, protocol, progress=progress)
    predicted = table.predictor(space).ms(genes)
    off = 100 * (measured / predicted - 1)
    return {
        "predicted_ms": predicted.tolist(),
        "measured_ms": measured.tolist(),
        "off_percent": summary(off.tolist()),
        "mean_absolute_percent": float(np.abs(off).mean()),
        "largest_percent": float(np.abs(off).max()),
        "within_5_percent": int((np.abs(off) <= 5).sum()),
        "table_error_percent": table.held_out.mape,
        "runtime": dict(table.device),
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=["demo", "mobilenet_v3"])
    parser.add_argument("--subnets", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    add_hardware(parser)
    given = parser.parse_args()
    require_one_thread()
    body: dict[str, Any] = {"subnets": given.subnets}
    for name in given.spaces:
        for precision in PRECISIONS:
            found = compared(load_space(name), precision, given.subnets, given.seed)
            body.setdefault(name, {})[precision] = found
            print(name, precision, {k: v for k, v in found.items() if "percent" in k}, flush=True)
            path = write_result("exported_latency", given.hardware, ("onnxruntime", "torch"), body)
    print(path)


if __name__ == "__main__":
    main()
