"""Result files of benchmarks: the command, the hardware, the versions and the date."""

import datetime
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from supernet.files import write_text
from supernet.latency import describe_device

__all__ = ["add_hardware", "write_result"]

RESULTS = Path(__file__).parent / "results"


def add_hardware(parser: Any) -> None:
    """``--hardware``, the short name of the machine in the file's name."""
    parser.add_argument("--hardware", default="2cpu", help="short name for the file")


def write_result(name: str, hardware: str, packages: tuple[str, ...], body: dict[str, Any]) -> Path:
    """Write ``results/<name>_<hardware>_<date>.json``; its path.

    Args:
        name: of the benchmark.
        hardware: short name of the machine.
        packages: whose versions matter.
        body: what was measured.
    """
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    script = Path(sys.argv[0]).name
    document = {
        "command": " ".join(["python", f"benchmarks/{script}", *_shareable(sys.argv[1:])]),
        "date": today,
        "hardware": describe_device() | {"cores": os.cpu_count()},
        "python": platform.python_version(),
        "versions": {package: importlib.metadata.version(package) for package in packages},
        **body,
    }
    path = RESULTS / f"{name}_{hardware}_{today}.json"
    write_text(path, json.dumps(document, indent=1) + "\n")
    return path


def _shareable(arguments: list[str]) -> list[str]:
    """Of paths only the last part: where data lie is nobody's business."""
    return [Path(a).name if "/" in a else a for a in arguments]
