"""Result files of benchmarks: the command, the hardware, the versions and the date."""

import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from supernet.errors import SupernetError
from supernet.files import write_text
from supernet.latency import describe_device

__all__ = [
    "PUBLISHED",
    "RESULTS",
    "ROOT",
    "add_hardware",
    "image_folder",
    "published",
    "require_one_thread",
    "result_path",
    "run_told",
    "summary",
    "write_result",
]

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = Path(os.environ.get("SUPERNET_PUBLISHED") or ROOT.parent / "shared" / "published")
"""What others published; not part of this project."""
RESULTS = Path(__file__).parent / "results"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def add_hardware(parser: Any, default: str = "2cpu") -> None:
    """``--hardware``, the short name of the machine in the file's name."""
    parser.add_argument("--hardware", default=default, help="short name for the file")


def published(name: str) -> Path:
    """A file that others published; where it is not there the program ends with a line."""
    path = PUBLISHED / name
    if not path.exists():
        raise SystemExit(f"{path}: not there; SUPERNET_PUBLISHED names the folder of such files")
    return path


def image_folder(text: str) -> Path:
    """A folder with pictures in it, as argparse takes it; else the program ends with a line."""
    folder = Path(text)
    if not folder.is_dir():
        raise SystemExit(f"{text}: no such folder of pictures")
    if not any(folder.iterdir()):
        raise SystemExit(f"{text}: there is nothing in this folder")
    return folder


def run_told(main: Callable[[], None]) -> None:
    """Run a benchmark; what is wrong with its input ends it with a line, as in `supernet`."""
    try:
        main()
    except SupernetError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise SystemExit(f"error: {error}{hint}") from None
    except subprocess.CalledProcessError as error:  # its own output says why
        raise SystemExit(f"error: {shlex.join(map(str, error.cmd))}: failed") from None


def require_one_thread() -> None:
    """End the program unless the libraries were told to use one thread."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        command = " and ".join(f"{name}=1" for name in THREADS)
        raise SystemExit(f"set {command}: one core is measured")


def result_path(name: str, hardware: str) -> Path:
    """``results/<name>_<hardware>_<date>.json``, of today."""
    return RESULTS / f"{name}_{hardware}_{_today()}.json"


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def write_result(name: str, hardware: str, packages: tuple[str, ...], body: dict[str, Any]) -> Path:
    """Write a result file; its path.

    Args:
        name: of the benchmark.
        hardware: short name of the machine.
        packages: whose versions matter, if any.
        body: what was measured; its keys win over ours.
    """
    document = {
        "command": _command(),
        "date": _today(),
        "hardware": describe_device() | {"cores": os.cpu_count()} | _gpu(),
        "python": platform.python_version(),
        **({"versions": {p: importlib.metadata.version(p) for p in packages}} if packages else {}),
        **body,
    }
    path = result_path(name, hardware)
    write_text(path, json.dumps(document, indent=1) + "\n")
    return path


def _gpu() -> dict[str, str]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {}
    return {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _command() -> str:
    threads = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    script = f"benchmarks/{Path(sys.argv[0]).name}"
    return shlex.join([*threads, "python", script, *_shareable(sys.argv[1:])])


def _shareable(arguments: list[str]) -> list[str]:
    """Of paths only the last part: where data lie is nobody's business."""
    return [Path(a).name if "/" in a else a for a in arguments]
