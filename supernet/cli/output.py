"""What the commands print: results on stdout, progress and errors on stderr."""

import contextlib
import json
import os
import shlex
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import click

from supernet.errors import StorageError, SupernetError
from supernet.places import FallbackWarning, temporary_folder
from supernet.progress import FailedWarning, Progress

__all__ = [
    "command_line",
    "note_finetuned",
    "print_json",
    "print_table",
    "progress_bar",
    "run_guarded",
]

_SHORT = 24  # characters of a name that is never broken
_WRONG_INPUT = 2  # the exit code
_QUIET_SECONDS = 20.0  # between lines of progress where there is no terminal


def run_guarded(command: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Run a command; errors become one line on stderr and an exit code.

    With ``--debug`` among the arguments the traceback is shown as well, with
    ``--json`` the error is also the last line on stdout.
    """
    if threading.current_thread() is threading.main_thread():  # others may not set handlers
        signal.signal(signal.SIGTERM, _terminate)
    with warnings.catch_warnings():
        warnings.showwarning = _warn(warnings.showwarning)
        return _guarded(command, arguments)


def _guarded(command: Callable[[], Any], arguments: Sequence[str]) -> int:
    try:
        result = command()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        _fail("interrupted", "what was finished is kept", 130, arguments)
        return 130
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"see `{context.command_path} --help`" if context else ""
        _fail(error.format_message(), hint, error.exit_code, arguments)
        return error.exit_code
    except SupernetError as error:
        _traceback(arguments)
        _fail(str(error), error.hint, error.exit_code, arguments)
        return error.exit_code
    except Exception as error:  # noqa: BLE001  # the last line of defence: no traceback unasked
        return _unforeseen(error, arguments)
    return result if isinstance(result, int) else 0


def _warn(others: Callable[..., None]) -> Callable[..., None]:
    """Shows what we warn of as one line, all else as before."""

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, FallbackWarning | FailedWarning):
            others(message, category, *where, **more)
        elif os.environ.get("LOCAL_RANK", "0") == "0":
            click.echo(f"warning: {message}", err=True)

    return show


def _terminate(number: int, _: object) -> NoReturn:
    """End as on Ctrl-C, so that temporary files are removed, with the usual exit code."""
    raise SystemExit(128 + number)


def _unforeseen(error: Exception, arguments: Sequence[str]) -> int:
    _traceback(arguments)
    if isinstance(error, OSError):
        message, hint = str(error), _no_temporary()
    else:
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        hint = "this should not happen; run again with --debug and report what it prints"
    _fail(message, hint, 1, arguments)
    return 1


def _no_temporary() -> str:
    """What to do where there is no folder for temporary files; else nothing."""
    try:
        temporary_folder()
    except StorageError as error:
        return error.hint
    return ""


def _traceback(arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        import traceback

        traceback.print_exc()


def _fail(message: str, hint: str, code: int, arguments: Sequence[str]) -> None:
    if code == _WRONG_INPUT and os.environ.get("LOCAL_RANK", "0") != "0":
        return  # all processes that `torchrun` started met it; the first of them says so
    click.echo(f"error: {message}" + (f" ({hint})" if hint else ""), err=True)
    if "--json" in arguments:
        print_json({"error": {"code": code, "message": message, "hint": hint}})


def command_line(*words: object) -> str:
    """A command of ours that a shell takes as it is printed, whatever its paths hold."""
    return shlex.join(["supernet", *map(str, words)])


def note_finetuned(found: tuple[float, float] | None, name: str = "") -> None:
    """Tell that weights are finetuned ones, and what that gave on held-out images, percent."""
    if found is None:
        return
    before, after = found
    rest = "; --not-finetuned takes the supernet's weights" * (after < before)
    text = f"{after:.2f} % of the held-out images, {before:.2f} before{rest}"
    whose = f"{name} with" if name else "with"
    click.echo(f"note: {whose} its finetuned weights: {text}", err=True)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    click.echo(json.dumps(document, allow_nan=False))


def print_table(title: str, rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> None:
    """A table on stdout; all columns but the first are aligned to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=bool(header), box=None)
    columns = max(len(row) for row in [header, *rows])
    names = [*header, *[""] * (columns - len(header))]
    table.add_column(names[0], overflow="fold", no_wrap=all(len(row[0]) <= _SHORT for row in rows))
    for name in names[1:]:
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if title:
        console.print(title, style="italic", soft_wrap=True)  # a path in it must stay whole
    console.print(table)


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """Bars with an ETA on stderr; without a terminal a line now and then."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, Any] = {}
    notes: set[str] = set()
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def show(done: int, total: int, text: str) -> None:
            if total == 0:
                if text not in notes:
                    bars.console.print(f"note: {text}", markup=False, highlight=False)
                notes.add(text)
                return
            kind = text.split(",", maxsplit=1)[0]  # phases of a training share one bar
            if kind not in tasks or bars.tasks[tasks[kind]].finished:
                tasks[kind] = bars.add_task(text, total=total)
            bars.update(tasks[kind], completed=done, total=total, description=text)

        yield show


def _lines() -> Progress:
    """Prints the first and last step of each kind of work, and one every 20 seconds."""
    last: dict[str, Any] = {"text": None, "time": 0.0}
    notes: set[str] = set()

    def show(done: int, total: int, text: str) -> None:
        if total == 0:
            if text not in notes:
                click.echo(f"note: {text}", err=True)
            notes.add(text)
            return
        now = time.monotonic()
        changed = text != last["text"]
        if changed or done == total or now - last["time"] >= _QUIET_SECONDS:
            last["text"], last["time"] = text, now
            click.echo(f"{text}: {done} of {total}", err=True)

    return show
