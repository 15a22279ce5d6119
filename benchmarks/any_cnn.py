"""Which networks of torchvision and timm become spaces, and whether these are them.

    python benchmarks/any_cnn.py torchvision timm    # what is not known yet
    python benchmarks/any_cnn.py --page    # writes docs/any_cnn_table.md

A line a network goes to benchmarks/results/any_cnn.jsonl as soon as it is known: first the
structure of all, then the outputs, small networks first. What is there is not made again.
"""

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from supernet.errors import SupernetError
from supernet.models import Supernet, extract, load_pretrained
from supernet.models.published import build_network
from supernet.space import Space, count_subnets, decode, sample
from supernet.workflow.any_cnn import convert, shaken

RESULTS = Path(__file__).resolve().parent / "results" / "any_cnn.jsonl"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "any_cnn_table.md"
SIZE, LARGER = 64, {"torchvision:inception_v3": 96, "timm:inception_v3": 96}
LIBRARIES = "torchvision", "timm"
FIGURES = "largest", "extracted", "onnx"
NOT_CNNS = ("vit_", "swin_", "maxvit_")
TIMM = Path(__file__).with_suffix("").with_name("any_cnn_timm.txt")


class _Shapes(TorchFunctionMode):
    """Within it, layers are made without memory, and nothing is drawn.

    `supernet.models._unfilled.Unfilled` does so for our own layers; code of others also computes
    with small tensors while it makes layers (torchvision's RegNet its widths): those keep values.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else given["tensor"]
        if func is torch.empty:
            given["device"] = "meta"
        return func(*args, **given)


def names(library: str) -> list[str]:
    """Networks to look at."""
    if library == "torchvision":
        from torchvision import models

        return [n for n in models.list_models(module=models) if not n.startswith(NOT_CNNS)]
    import timm

    return [name for name in TIMM.read_text().split() if timm.is_model(name)][:100]


def looked_at(source: str, *, exactly: bool = False) -> dict[str, Any]:
    """One row: what became of a network, and how far off its outputs are where asked for."""
    row: dict[str, Any] = {"source": source}
    try:
        with _Shapes():
            network = build_network(source)
        row["params"] = sum(p.numel() for p in network.parameters())
        made = convert(source, network, size=LARGER.get(source, SIZE), check=False)
        row |= {"subnets": float(count_subnets(made.space)), "stages": len(made.space.stages)}
        row["fixed"] = [
            group.name for group in made.groups[1:-1] if not group.freedom.elastic
        ]  # without stem and head
        if exactly:
            row |= compared(made.space, shaken(build_network(source)))
    except SupernetError as error:
        row["refused"] = str(error)
    return row


@torch.no_grad()
def compared(space: Space, network: nn.Module) -> dict[str, float]:
    """Differences of outputs, each as a share of the largest."""
    from supernet.export import Source
    from supernet.export.formats.onnx import Onnx

    supernet = Supernet(space).eval()
    load_pretrained(supernet, network)
    size = space.resolutions[-1]
    image = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    supernet.activate(replace(supernet.largest, resolution=size))
    found = {"largest": off(supernet(image), network(image)), "extracted": 0.0}
    subnets = decode(space, sample(space, 3, np.random.default_rng(0)))
    for drawn in subnets:
        subnet = replace(drawn, resolution=size)
        supernet.activate(subnet)
        plain = extract(supernet, subnet).eval()
        found["extracted"] = max(found["extracted"], off(plain(image), supernet(image)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        Onnx().write(Source(network=plain, in_channels=3, resolution=size), path)
        logits = Onnx().open(path).call(image[:1].numpy())
    found["onnx"] = off(torch.from_numpy(np.asarray(logits)), plain(image[:1]))
    return found


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())


def known() -> dict[str, dict[str, Any]]:
    """Rows by source."""
    lines = RESULTS.read_text().splitlines() if RESULTS.is_file() else []
    return {row["source"]: row for row in map(json.loads, lines)}


def keep(row: dict[str, Any]) -> None:
    """Write a row, which stands for earlier ones of the same network."""
    with RESULTS.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(row, file=sys.stderr, flush=True)
    gc.collect()


def page() -> Iterator[str]:
    """The table as Markdown."""
    yield "<!-- written by benchmarks/any_cnn.py --page -->"
    columns = (
        *("becomes", "stages without a choice"),
        *("largest = network", "extracted = active", "ONNX = torch"),
    )
    yield f"| network | parameters | {' | '.join(columns)} |"
    yield "|---|---|---|---|---|---|---|"
    for source, row in known().items():
        size = f"{row['params'] / 1e6:.2f} M" if "params" in row else ""
        figures = [f"{row[key]:.0e}" if key in row else "" for key in FIGURES]
        if "refused" in row:
            became = "refused: " + row["refused"].removesuffix(": no kind of block has that")
        else:
            exact = "exact" if "largest" in row else "same operators, not run"
            became = f"{exact}; {row['stages']} stages, {row['subnets']:.0e} subnets"
        without = ", ".join(row.get("fixed", ())) or ("" if "refused" in row else "none")
        yield f"| `{source}` | {size} | {became} | {without} | {' | '.join(figures)} |"


def main() -> None:
    """Look at what has no row yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("libraries", nargs="*", help="torchvision, timm")
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.libraries) - {*LIBRARIES}:  # with choices none is refused
        parser.error(f"no such library: {', '.join(sorted(unknown))}; torchvision and timm are")
    for library in options.libraries:
        for name in names(library):
            row = known().get(f"{library}:{name}", {})
            if not {"refused", "fixed"} & row.keys():
                figures = {key: row[key] for key in FIGURES if key in row}
                keep(looked_at(f"{library}:{name}") | figures)
    for row in sorted(known().values(), key=lambda row: row.get("params", 0)):
        library = row["source"].partition(":")[0]
        asked = library in options.libraries and "refused" not in row
        if asked and "largest" not in row:
            keep(looked_at(row["source"], exactly=True))
    if options.page:
        PAGE.write_text("\n".join(page()) + "\n")


if __name__ == "__main__":
    main()
