"""Checkpoints: a folder per step, written whole or not at all.

``step-<n>/supernet.safetensors`` holds the weights to use, ``state.pt`` everything else
that is needed to go on (loads with ``weights_only=True``). Where weights are averaged,
``raw.safetensors`` holds those that training goes on from. All random choices are functions
of the seed and the step, so no generator state has to be kept.
"""

import io
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from supernet.errors import FileFormatError
from supernet.files import storage_error, write_bytes
from supernet.models import save_weights

__all__ = ["Checkpoint", "list_checkpoints", "load_checkpoint", "save_checkpoint"]

_KEEP = 2
_WEIGHTS, _RAW, _STATE = "supernet.safetensors", "raw.safetensors", "state.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a training stood."""

    step: int
    """Steps done, over all phases."""
    weights: dict[str, Tensor]
    """To be used: averaged ones where the recipe averages."""
    raw: dict[str, Tensor] | None = None
    """What training goes on from, where these are others."""
    auxiliary: dict[str, Tensor] = field(default_factory=dict)
    """Of the auxiliary head, where there is one, likewise."""
    raw_auxiliary: dict[str, Tensor] = field(default_factory=dict)
    """What training goes on from, where these are others."""
    optimizer: dict[str, Any]
    """State of the optimiser, see `supernet.train.optimize.Optimizer.state`."""
    skipped: int = 0
    """Steps left out because of gradients that were not finite."""
    architecture: dict[str, Any] = field(default_factory=dict)
    """State of a phase's search, see `supernet.train.architecture.Method.state`."""


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoint folders, oldest first."""
    found = [p for p in folder.glob("step-*") if p.name[5:].isdigit()]
    return sorted(found, key=lambda p: int(p.name[5:]))


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, then remove all but the newest two; its folder.

    Raises:
        StorageError: the disk is full or refuses the write; older ones stay.
    """
    final = folder / f"step-{checkpoint.step}"
    temporary = folder / f".step-{checkpoint.step}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_weights(temporary / _WEIGHTS, checkpoint.weights)
        if checkpoint.raw is not None:
            save_weights(temporary / _RAW, checkpoint.raw)
        names = ("step", "optimizer", "skipped", "architecture", "auxiliary", "raw_auxiliary")
        state = io.BytesIO()
        torch.save({name: getattr(checkpoint, name) for name in names}, state)
        write_bytes(temporary / _STATE, state.getvalue())
        shutil.rmtree(final, ignore_errors=True)
        temporary.replace(final)
        for old in list_checkpoints(folder)[:-_KEEP]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise storage_error(final, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint folder.

    Raises:
        FileFormatError: a file is missing or damaged.
    """
    try:
        weights = load_file(path / _WEIGHTS)
        state = torch.load(path / _STATE, map_location="cpu", weights_only=True)
        raw = load_file(path / _RAW) if (path / _RAW).exists() else None
        return Checkpoint(weights=weights, raw=raw, **state)
    except (
        OSError,
        SafetensorError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        EOFError,
        UnpicklingError,
    ) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FileFormatError(f"{path}: damaged checkpoint: {reason}") from None
