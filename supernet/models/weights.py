"""Weights as safetensors files."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from supernet.errors import FileFormatError
from supernet.files import write_bytes

__all__ = ["load_weights", "save_weights"]


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
    module.load_state_dict(weights)
