"""Weights as safetensors files, and the safe part of what others publish."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from supernet.errors import FileFormatError
from supernet.files import write_bytes
from supernet.models._archive import check_archive

__all__ = ["load_tensors", "load_weights", "save_weights"]

_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_DTYPES |= {torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool}


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write weights, whole or not at all.

    Raises:
        StorageError: the disk is full or refuses the write.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    write_bytes(path, save(plain))


def load_weights(path: Path, module: nn.Module) -> None:
    """Put the weights of a safetensors file into `module`.

    Raises:
        FileFormatError: missing, damaged, or of another network.
    """
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise FileFormatError(f"{path}: cannot be read: {error}") from None
    own = module.state_dict()
    wrong = sorted(weights.keys() ^ own.keys())
    wrong += [name for name in own if name in weights and own[name].shape != weights[name].shape]
    if wrong:
        raise FileFormatError(
            f"{path}: weights of another network ({len(wrong)} tensors differ, first: {wrong[0]})",
            hint="check that the space is the one the weights were trained with",
        )
    ruined = [name for name, value in weights.items() if not bool(value.isfinite().all())]
    if ruined:
        raise FileFormatError(
            f"{path}: {ruined[0]} holds values that are not finite",
            hint="what was trained after it is lost: remove its folder, so that an earlier "
            "checkpoint is taken",
        )
    module.load_state_dict(weights)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file that `torch.save` wrote, or of a safetensors file.

    Only tensors are read (``weights_only=True``): a file that holds code is refused.
    They may stand under ``state_dict``, and their names may start with ``module.``.

    Raises:
        FileFormatError: missing, damaged, or not named tensors.
    """
    content = _content(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(n, str) and isinstance(v, Tensor) for n, v in state.items())
    ):
        raise FileFormatError(f"{path}: expected named tensors, or these under 'state_dict'")
    for name, value in state.items():
        if not _is_plain(value):
            raise FileFormatError(f"{path}: {name[:80]!r}: not a dense tensor of real numbers")
    return {name.removeprefix("module."): value.detach() for name, value in state.items()}


def _content(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on old formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # whose text says how to load it all the same
        reason = "it is damaged, or holds more than tensors"
    except Exception as error:  # noqa: BLE001  # damaged bytes make the reader raise anything
        printable = "".join(c if c.isprintable() else " " for c in str(error))
        reason = " ".join(printable.split())[:160] or type(error).__name__
    raise FileFormatError(
        f"{path}: not a checkpoint that is safe to load: {reason}",
        hint="only files of torch.save or safetensors that hold tensors are read; a file cut "
        "short has to be copied again",
    )


def _is_plain(value: Tensor) -> bool:
    """Whether every value of it is in memory, once, as a real number."""
    return (
        value.layout == torch.strided
        and value.device.type == "cpu"
        and value.dtype in _DTYPES
        and not value.is_neg()
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )
