"""Rows of a long benchmark, each kept as soon as it is there: stopped, it goes on."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supernet.files import write_text

__all__ = ["Row", "Rows"]

Row = dict[str, Any]


class Rows:
    """Rows by name in a JSON file of the work folder.

    Args:
        folder: made where it is not there.
        settings: what decides all rows; of another benchmark's rows the program ends.
        changed: called after each new row.
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], changed: Callable[[], None] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._path = folder, folder / "rows.json"
        self._changed = changed or (lambda: None)
        plain = json.loads(json.dumps(settings))
        self.settings: dict[str, Any] = plain
        self.rows: dict[str, Row] = {}
        if not self._path.is_file():
            return
        known = json.loads(self._path.read_text(encoding="utf-8"))
        other = [
            key for key in plain | known["settings"] if known["settings"].get(key) != plain.get(key)
        ]
        if other:
            raise SystemExit(
                f"{self._path}: was begun with other {', '.join(other)}; give another --work"
            )
        self.rows = known["rows"]

    def get(self, name: str, make: Callable[[], Row]) -> Row:
        """The row of this name, kept or made; with the wall time of making it."""
        if name not in self.rows:
            since = time.perf_counter()
            row = make()
            self.rows[name] = row | {"wall_s": round(time.perf_counter() - since, 2)}
            body = {"settings": self.settings, "rows": self.rows}
            write_text(self._path, json.dumps(body, indent=1) + "\n")
            print(name, json.dumps(self.rows[name]), flush=True)
            self._changed()
        return self.rows[name]
