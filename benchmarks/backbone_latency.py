"""How wrong latency tables of whole networks are for backbones, which have no head.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/backbone_latency.py

Random subnets of a space, each whole and as backbones with maps up to strides 8, 16 and 32, are
predicted by this machine's table and measured in turn with networks of known latency. The table
is measured first where it is not known.

Writes `benchmarks/results/backbone_latency_<hardware>_<date>.json`.
"""

import argparse
from typing import Any

import numpy as np
from records import add_hardware, require_one_thread, write_result

from supernet.latency import measure_drift_corrected, this_machine
from supernet.metrics import kendall_tau
from supernet.space import Body, Operator, body_operators, decode, load_space, operators
from supernet.space.domain import Domain

LAST = (8, 16, 32)


def compared(name: str, size: int, count: int) -> dict[str, Any]:
    """Errors by what was measured, in percent, and the figures themselves."""
    space = load_space(name)
    table = this_machine(space)
    domain = Domain.of(space, {"resolution": [size]})
    genes = domain.sample_spread(count, np.random.default_rng(0))
    subnets = decode(space, genes)
    whole = [list(operators(space, subnet)) for subnet in subnets]
    models: dict[str, list[list[Operator]]] = {"whole networks": whole}
    predicted = {"whole networks": table.predictor(space).ms(genes)}
    for last in LAST:
        key = f"maps up to stride {last}"
        models[key] = [list(body_operators(*pair, (last,))) for pair in zip(subnets, whole)]
        predicted[key] = table.predictor(space, Body(features=(last,))).ms(genes)
    ms = measure_drift_corrected(table, space, [model for own in models.values() for model in own])
    rows: dict[str, Any] = {}
    for key, measured in zip(models, ms.reshape(len(models), -1)):
        off = 100 * (measured / predicted[key] - 1)
        rows[key] = {
            "mape": round(float(np.abs(off).mean()), 2),
            "off_mean": round(float(off.mean()), 2),
            "kendall": round(kendall_tau(predicted[key], measured), 3),
            "predicted_ms": predicted[key].round(4).tolist(),
            "measured_ms": measured.round(4).tolist(),
        }
        print(key, {k: v for k, v in rows[key].items() if not isinstance(v, list)}, flush=True)
    return {"space": name, "resolution": size, "held_out_mape": table.held_out.mape, "rows": rows}


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--space", default="efficientnet_lite0")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--networks", type=int, default=20)
    add_hardware(parser)
    options = parser.parse_args()
    require_one_thread()
    found = compared(options.space, options.resolution, options.networks)
    print(write_result("backbone_latency", options.hardware, ("onnxruntime",), found))


if __name__ == "__main__":
    main()
