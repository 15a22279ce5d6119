"""What a training notes epoch by epoch, in files that a run killed at any time can go on with."""

import json
import math
from pathlib import Path
from typing import Any

from supernet.files import append_line, write_text
from supernet.train.events import event_writer

__all__ = ["Records"]


class Records:
    """``metrics.jsonl``, ``architecture.jsonl`` and TensorBoard's events of a training.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._metrics = folder / "metrics.jsonl"
        self._architecture = folder / "architecture.jsonl"
        self._write_events = event_writer(folder)

    def trim(self, step: int) -> None:
        """Remove what was noted after a step: after the checkpoint, or before there was one."""
        for path in (self._metrics, self._architecture):
            if path.exists():
                kept = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
                write_text(path, "".join(line + "\n" for line in kept))

    def add(self, record: dict[str, Any], learned: dict[str, Any] | None) -> None:
        """Note an epoch.

        Args:
            record: what was measured; has a ``step``.
            learned: what the phase's search by gradient has found, where it searches.
        """
        append_line(self._metrics, json.dumps(record))
        if learned is not None:
            place = {"step": record["step"], "epoch": record["epoch"]}
            append_line(self._architecture, json.dumps(place | learned))
        self._write_events(record)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line cut short by a crash
        return math.inf
