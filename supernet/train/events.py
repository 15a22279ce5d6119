"""Metrics as TensorBoard events, where the package is installed (extra: tensorboard)."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["event_writer"]


def event_writer(folder: Path) -> Callable[[dict[str, Any]], None]:
    """Writes records of the metrics into ``folder/events``; does nothing without the package."""
    if find_spec("tensorboard") is None:
        return lambda record: None

    def write(record: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter  # a second to import

        with SummaryWriter(str(folder / "events")) as writer:
            for name, value in record.items():
                if isinstance(value, int | float) and name != "step":
                    writer.add_scalar(name, value, record["step"])

    return write
