"""A subnet as a file: ``subnet.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from supernet.blocks import Wired
from supernet.errors import ConfigError, FileFormatError
from supernet.files import read_as, write_document
from supernet.space._figures import wrong_figures, wrong_texts
from supernet.space.cells import CellChoice
from supernet.space.dimensions import PER_BLOCK
from supernet.space.operator import Operator, Shortcut, total_macs, total_params
from supernet.space.spec import Space
from supernet.space.stage import BlockKind
from supernet.space.subnet import Block, StageChoice, Subnet, operators

__all__ = ["SubnetFile", "check_operators"]

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetFile:
    """What a ``subnet.json`` holds: the subnet, its operators, and what is known of it."""

    subnet: Subnet
    operators: tuple[Operator, ...]
    """Written out, so that the network can be rebuilt from the file alone."""
    reads: tuple[tuple[int, ...], ...] = ()
    """What each reads, where it is not the output of the one before: 0 is the image, k the output
    of operator k."""
    checkpoint: Mapping[str, str] | None = None
    """``path`` (relative to the file) and ``sha256`` of the supernet's weights."""
    predicted: Mapping[str, Any] = field(default_factory=dict)
    """Such as ``top1`` (percent), ``latency_ms``, ``latency_low_ms``, ``target``."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """The same, measured."""

    @classmethod
    def of(cls, space: Space, subnet: Subnet, **known: Any) -> "SubnetFile":
        """The file of `subnet`, its operators taken from `space`."""
        found = operators(space, subnet)
        reads = found.reads if isinstance(found, Wired) else ()
        return cls(subnet=subnet, operators=tuple(found), reads=reads, **known)

    @property
    def network(self) -> list[Operator]:
        """Its operators as `operators` gives them."""
        return Wired(self.operators, self.reads) if self.reads else list(self.operators)

    @property
    def finetuned(self) -> tuple[float, float] | None:
        """Accuracy on held-out images before and after finetuning, percent, where there was any."""
        keys = ("before_finetuning_holdout_top1", "holdout_top1")
        before, after = (self.measured.get(key) for key in keys)
        if not (isinstance(before, float) and isinstance(after, float)):
            return None
        return before, after

    def with_measured(self, **measured: Any) -> "SubnetFile":
        """The same with more measured values."""
        return replace(self, measured={**self.measured, **measured})

    def is_of_other_weights(self, digest: str) -> bool:
        """Whether it was found with other weights than those of this SHA-256, as far as it says."""
        known = (self.checkpoint or {}).get("sha256")
        return known is not None and known != digest

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        subnet = self.subnet
        body: dict[str, Any] = {
            "space": {"name": subnet.space, "hash": subnet.space_hash},
            "resolution": subnet.resolution,
            "stem": {
                "width": subnet.stem_width,
                "depth": subnet.stem_depth,
                "out": subnet.stem_out,
            },
            "stages": [
                {
                    "width": stage.width,
                    "depth": len(stage.blocks),
                    "block": stage.block,
                    "se": stage.se,
                    "shortcut": stage.shortcut,
                    "blocks": [
                        {"kernel": b.kernel, "expand": b.expand}
                        | {n: getattr(b, n) for n in PER_BLOCK[2:] if getattr(b, n)}
                        for b in stage.blocks
                    ],
                }
                for stage in subnet.stages
            ],
            "head": {"features": subnet.features},
            **({"cells": [asdict(cell) for cell in subnet.cells]} if subnet.cells else {}),
            "macs": total_macs(self.operators),
            "params": total_params(self.operators),
            "checkpoint": dict(self.checkpoint) if self.checkpoint else None,
            "predicted": dict(self.predicted),
            "measured": dict(self.measured),
            "operators": [operator.as_dict() for operator in self.operators],
            **({"reads": [list(own) for own in self.reads]} if self.reads else {}),
        }
        write_document(path, "subnet", _VERSION, body)

    @classmethod
    def load(cls, path: Path) -> "SubnetFile":
        """Read and check a ``subnet.json``.

        Raises:
            FileFormatError: not such a file, or edited inconsistently.
            ConfigError: values that break rules; all problems at once.
        """
        body = read_as(_Body, path, "subnet", _VERSION)
        stages = tuple(
            StageChoice(
                width=stage.width,
                block=stage.block,
                se=stage.se,
                shortcut=stage.shortcut,
                blocks=stage.blocks,
            )
            for stage in body.stages
        )
        wrong = [s + 1 for s, stage in enumerate(body.stages) if stage.depth != len(stage.blocks)]
        if wrong or (body.macs, body.params) != (
            total_macs(body.operators),
            total_params(body.operators),
        ):
            where = f"stage {wrong[0]}: depth" if wrong else "macs or params"
            raise FileFormatError(f"{path}: {where} does not fit the blocks; was it edited?")
        subnet = Subnet(
            space=body.space.name,
            space_hash=body.space.hash,
            resolution=body.resolution,
            stem_width=body.stem.width,
            stem_depth=body.stem.depth,
            stem_out=body.stem.out,
            stages=stages,
            features=body.head.features,
            cells=body.cells,
        )
        _check_reads(path, body.operators, body.reads)
        return cls(
            subnet=subnet,
            operators=body.operators,
            reads=body.reads,
            checkpoint=body.checkpoint,
            predicted=body.predicted,
            measured=body.measured,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpaceId:
    name: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stem:
    width: int
    depth: int
    out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    features: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    width: int
    depth: int
    block: BlockKind
    se: float
    shortcut: Shortcut
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    space: _SpaceId
    resolution: int
    stem: _Stem
    stages: tuple[_Stage, ...]
    head: _Head
    macs: int
    params: int
    checkpoint: dict[str, str] | None
    predicted: dict[str, Any]
    measured: dict[str, Any]
    operators: tuple[Operator, ...]
    cells: tuple[CellChoice, ...] = ()
    reads: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        problems = wrong_texts(self.checkpoint or {}, "checkpoint")
        problems += wrong_figures(self.predicted, "predicted")
        problems += wrong_figures(self.measured, "measured")
        if problems:
            raise ConfigError(problems)


def _check_reads(
    path: Path, operators: Sequence[Operator], reads: Sequence[tuple[int, ...]]
) -> None:
    """A graph reads what is there already, and as much of it as its operators take."""
    if not reads:
        return
    if len(reads) != len(operators):
        raise FileFormatError(
            f"{path}: reads: {len(reads)} entries for {len(operators)} operators; was it edited?"
        )
    for number, (operator, own) in enumerate(zip(operators, reads), start=1):
        if len(own) != operator.inputs or not all(0 <= read < number for read in own):
            raise FileFormatError(
                f"{path}: reads[{number - 1}]: operator {number} ({operator.op}) reads "
                f"{operator.inputs} of the outputs 0 to {number - 1}, found {list(own)}"
            )


def check_operators(space: Space, file: SubnetFile) -> Sequence[Operator]:
    """The operators of the file's subnet, which must be those its space gives.

    Raises:
        ConfigError: another space, or operators that were edited.
    """
    expected = operators(space, file.subnet)
    for number, (found, wanted) in enumerate(zip(file.operators, expected), start=1):
        if found != wanted:
            raise ConfigError(
                f"operator {number}: the file says {found.key!r}, the space {wanted.key!r}"
            )
    if len(file.operators) != len(expected):
        raise ConfigError(
            f"operators: the file has {len(file.operators)}, the space gives {len(expected)}"
        )
    return expected
