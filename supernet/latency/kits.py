"""Making a kit: what is to be measured, and one file that measures it."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from supernet import __version__
from supernet.blocks import Wired
from supernet.files import atomic_path
from supernet.latency.kit.plan import FIT, HOLD_OUT, Network, Plan
from supernet.latency.kit.spec import Spec
from supernet.space import (
    Domain,
    Genes,
    Operator,
    Space,
    decode,
    operators,
    operators_of,
    sample,
)

__all__ = ["FIT_NETWORKS", "HOLD_OUT_NETWORKS", "files_of", "make_plan", "write_kit"]

FIT_NETWORKS, HOLD_OUT_NETWORKS = 12, 20
_SEED = 20200426
_LEFT_OUT = ("torch.py",)  # measures modules of this library
_EPOCH = (2020, 1, 1, 0, 0, 0)  # equal kits are equal files
_MAIN = """\
import sys

if sys.version_info < (3, 8):
    sys.exit("error: this kit needs Python 3.8 or newer, found %d.%d" % sys.version_info[:2])
from supernet.latency.kit.main import main

sys.exit(main())
"""


def make_plan(
    space: Space,
    resolutions: Sequence[int] | None = None,
    *,
    fit: int = FIT_NETWORKS,
    hold_out: int = HOLD_OUT_NETWORKS,
    seed: int = _SEED,
) -> Plan:
    """Every distinct operator of a space, and random networks of it.

    Args:
        space: what to measure.
        resolutions: input sizes, all of the space's when not given; others than the space's
            are for backbones that read such images.
        fit: networks for the correction, of all sizes alike; of cells every other one is random.
        hold_out: networks for the error, drawn as a search draws its first ones.
        seed: of the networks.

    Raises:
        ConfigError: a resolution that no space can have.
    """
    space_hash, space = space.hash, _at(space, resolutions)
    found = operators_of(space)
    number = {operator: index for index, operator in enumerate(found)}
    rng = np.random.default_rng(seed)
    networks = _networks(space, number, FIT, _to_fit(space, fit, rng))
    networks += _networks(space, number, HOLD_OUT, sample(space, hold_out, rng))
    return Plan(
        space=space.name,
        space_hash=space_hash,
        resolutions=space.resolutions,
        operators=tuple(Spec.of(operator) for operator in found),
        networks=tuple(networks),
    )


def _to_fit(space: Space, count: int, rng: np.random.Generator) -> Genes:
    """Networks for the correction.

    Cells of one size all through are unlike others in more than their size: with such networks
    alone, others were predicted 3 % too low.
    """
    genes = Domain.of(space).sample_spread(count, rng)
    if space.cells:
        genes[::2] = sample(space, len(genes[::2]), rng)
    return genes


def _at(space: Space, resolutions: Sequence[int] | None) -> Space:
    if resolutions is None:
        return space
    return replace(space, resolutions=tuple(sorted(set(resolutions))))


def _networks(space: Space, number: dict[Operator, int], use: str, genes: Genes) -> list[Network]:
    return [_network(use, number, operators(space, subnet)) for subnet in decode(space, genes)]


def _network(use: str, number: dict[Operator, int], found: Sequence[Operator]) -> Network:
    reads = found.reads if isinstance(found, Wired) else ()
    return Network(use, tuple(number[operator] for operator in found), reads)


def write_kit(plan: Plan, path: Path) -> int:
    """Write a kit as one file that Python runs, and say how many bytes it has."""
    content = io.BytesIO()
    content.write(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in files_of(plan):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text, zipfile.ZIP_DEFLATED, 9)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getvalue())
        temporary.chmod(0o755)
    return len(content.getvalue())


def files_of(plan: Plan) -> list[tuple[str, str]]:
    """Name and content of all that a kit holds: the files of this library as they are."""
    library = resources.files("supernet")
    files = [
        ("__main__.py", _MAIN),
        ("supernet/__init__.py", f'__version__ = "{__version__}"\n'),
        ("supernet/errors.py", (library / "errors.py").read_text(encoding="utf-8")),
        ("supernet/latency/__init__.py", ""),
        ("supernet/latency/kit/plan.json", json.dumps(plan.document())),
    ]
    for place in ("blocks", "latency/backends", "latency/kit"):
        folder = library.joinpath(*place.split("/"))
        files += [(f"supernet/{place}/{f.name}", _text(f)) for f in _modules(folder)]
    return files


def _modules(folder: Traversable) -> list[Traversable]:
    found = [f for f in folder.iterdir() if f.name.endswith(".py") and f.name not in _LEFT_OUT]
    return sorted(found, key=lambda file: file.name)


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
