"""The command that a kit is: ``python3 kit.pyz -o device.json``."""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supernet.errors import (
    ConfigError,
    FileFormatError,
    MissingPackageError,
    StorageError,
    SupernetError,
)

if TYPE_CHECKING:
    from supernet.latency.kit.plan import Plan

__all__ = ["main"]

_EPILOG = """examples:
  python3 kit.pyz -o pi4.json
  python3 kit.pyz -o pi4_int8.json --precision int8
  python3 kit.pyz --check

An interrupted run goes on where it stopped when the same command is given again.
Then take the result home:  supernet latency build pi4.json
"""
_RANGES = (("threads", 1, 1024), ("batch", 1, 4096), ("patience", 0, 86400))


def main(argv: list[str] | None = None) -> int:
    """Run a kit; the exit code."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        _say(f"interrupted; give the same command again to go on ({_journal(arguments.output)})")
        return 130
    except SupernetError as error:
        _say(f"error: {error}" + (f" ({error.hint})" if error.hint else ""))
        return error.exit_code
    except ImportError as error:
        return _missing(error)
    except MemoryError:
        _say("error: out of memory (stop other programs, then give the same command again)")
        return 1
    except Exception as error:  # the last line of defence: no traceback unasked
        if arguments.debug:
            raise
        _say(f"error: {type(error).__name__}: {error} (run with --debug and report it)")
        return 1


def _missing(error: ImportError) -> int:
    name = (error.name or "").split(".")[0]
    hint = f"install it: python3 -m pip install {name}" if name == "numpy" else "report it"
    _say(f"error: {error} ({hint})")
    return MissingPackageError.exit_code


def _terminate(*_: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 kit.pyz",
        description="Measures the operators of a search space on this device.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-o", "--output", type=Path, default=Path("device.json"), help="result (device.json)")
    add("--precision", choices=["fp32", "int8"], default="fp32", help="of the models (fp32)")
    add("--threads", type=int, default=1, help="threads for one model (1)")
    add("--batch", type=int, default=1, help="images at once (1)")
    add("--backend", default="onnxruntime", help="onnxruntime or openvino (onnxruntime)")
    add("--provider", choices=["cpu", "cuda"], default="cpu", help="where models run (cpu)")
    add("--quick", action="store_true", help="fewer visits: a third of the time, less sure")
    add("--patience", type=float, default=60.0, metavar="S", help="seconds to wait in all for a "
        "device that has slowed down (60)")  # fmt: skip
    add("--fresh", action="store_true", help="do not continue an interrupted run")
    add("--check", action="store_true", help="look at the device and measure nothing")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _journal(output: Path) -> Path:
    return output.with_name(output.name + ".part")


def _run(arguments: argparse.Namespace) -> int:
    from supernet.latency.backends import open_backend
    from supernet.latency.kit.machine import Machine
    from supernet.latency.kit.protocol import Protocol, quick_protocol
    from supernet.latency.kit.run import Reporter, measure_plan, result_document

    _check_ranges(arguments)
    plan = _plan()
    backend = open_backend(
        arguments.backend,
        threads=arguments.threads,
        precision=arguments.precision,
        batch=arguments.batch,
        device=arguments.provider,
    )
    machine = Machine()
    before = machine.conditions()
    _introduce(plan, {**machine.describe(), **backend.describe()}, before, machine.warnings())
    if arguments.check:
        return 0
    if arguments.output.exists() and not arguments.fresh:
        _say(f"{arguments.output} is there already; --fresh measures again, or give another -o")
        return 2
    threads = arguments.threads
    protocol = quick_protocol(threads) if arguments.quick else Protocol(threads=threads)
    start, journal = time.monotonic(), _journal(arguments.output)
    measured = measure_plan(
        plan,
        backend,
        protocol,
        journal=journal,
        fresh=arguments.fresh,
        reporter=Reporter(_say, _Bar()),
        patience_s=arguments.patience,
    )
    seconds = time.monotonic() - start
    document = result_document(plan, measured, backend, protocol, before=before, seconds=seconds)
    _write(arguments.output, document)
    journal.unlink()
    marked = sum(timing.slow > 1 for timing in measured.timings.values())
    if marked:
        _say(f"{marked} of {len(measured.timings)} models were never measured at full speed")
    _say(f"wrote {arguments.output}; at home:  supernet latency build {arguments.output.name}")
    return 0


def _check_ranges(arguments: argparse.Namespace) -> None:
    for name, low, high in _RANGES:
        value = getattr(arguments, name)
        if not low <= value <= high:  # "nan" is in no range
            raise ConfigError(f"--{name}: must be from {low} to {high}, found {value}")


def _plan() -> Plan:
    from supernet.latency.kit.plan import Plan

    try:
        return Plan.of_document(json.loads(pkgutil.get_data(__package__, "plan.json") or b"null"))
    except ValueError as error:  # not JSON, or not a plan
        raise FileFormatError(
            f"{Path(sys.argv[0]).name}, plan.json: {error}", hint="make the kit again"
        ) from None


def _introduce(
    plan: Any, device: dict[str, str], conditions: dict[str, str], warnings: list[str]
) -> None:
    _say(f"{device['processor']} ({device['machine']}, {device['system']})")
    _say(f"{device['runtime']} {device['runtime_version']}, {device['provider']}")
    _say(", ".join(f"{key} {value}" for key, value in conditions.items()))
    for warning in warnings:
        _say(f"warning: {warning}")
    sizes = ", ".join(map(str, plan.resolutions))
    _say(
        f"{plan.space} at {sizes} px: {len(plan.operators)} operators, "
        f"{len(plan.networks)} whole networks"
    )


def _write(path: Path, document: dict[str, Any]) -> None:
    """Write the result, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(document) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}",
            hint="what was measured is kept: make room, then give the same command again",
        ) from None
    finally:
        if temporary.exists():
            temporary.unlink()


def _say(text: str) -> None:
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{clear}{text}\n")
    sys.stderr.flush()


class _Bar:
    """Progress with the time left: one line that changes, or one every 20 seconds."""

    def __init__(self) -> None:
        self._start = self._told = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done - 1
        terminal = sys.stderr.isatty()
        if now - self._told < (0.2 if terminal else 20):
            return
        self._told = now
        left_s = (now - self._start) / (done - self._first) * (total - done)
        line = f"{text}: {done} of {total}, about {left_s // 60:.0f}:{left_s % 60:02.0f} left"
        sys.stderr.write(f"\r\x1b[K{line}" if terminal else line + "\n")
        sys.stderr.flush()
