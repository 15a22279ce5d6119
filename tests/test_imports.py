"""Imports point down only, and what should be light stays light."""

import ast
import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Top first. A module may import from its own level and from those below.
LEVELS = (
    ("supernet", "__main__", "cli"),  # "supernet": the lazy names of supernet/__init__.py
    ("tune",),  # whole trainings as trials
    ("workflow",),
    ("train", "search", "export", "report"),
    ("predict", "latency", "evaluate", "models", "data", "runs", "run_images"),
    ("elastic",),
    ("space",),
    (
        "arguments",
        "blocks",
        "children",
        "errors",
        "fetch",
        "files",
        "latency_tables",
        "locks",
        "memory",
        "metrics",
        "places",
        "presets",
        "progress",
        "reading",
        "studies",
        "threads",
        "units",
        "yaml_text",
    ),
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

HEAVY = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "thop")


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the library as its installed name and its file."""
    for package, folder in (
        ("supernet", "supernet"),
        ("supernet.export", "export"),
        ("supernet.latency_tables", "latency_tables"),
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join((package, *(p for p in parts if p != "__init__"))), path


def room_of(module: str) -> str:
    """`space` for `supernet.space.genes`; `supernet` for the package itself."""
    return module.split(".")[1] if "." in module else module


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of all that is imported, inside functions too.

    `from supernet import space` names the room, `import_module("supernet.x")`
    counts as well.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module="supernet", names=names):
                yield from ((node.lineno, f"supernet.{alias.name}") for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield node.lineno, module
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield node.lineno, module


def imports_that_point_up(module: str, source: str) -> list[str]:
    """`line: room imports room` for every import from a higher level."""
    room = room_of(module)
    wrong = []
    for line, name in imported(ast.parse(source)):
        if name.split(".")[0] != "supernet" or name == "supernet.__version__":
            continue
        other = room_of(name)
        other = other if other in LEVEL_OF else "supernet"  # a lazy public name
        if LEVEL_OF[other] < LEVEL_OF[room]:
            wrong.append(f"{line}: {room} imports {other}")
    return wrong


def run(code: str, cwd: Path) -> str:
    """Output of `code` in a fresh interpreter."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_room_has_a_level() -> None:
    assert sorted({room_of(name) for name, _ in modules()} - set(LEVEL_OF)) == []


@pytest.mark.parametrize(("module", "path"), [pytest.param(n, p, id=n) for n, p in modules()])
def test_imports_point_down_only(module: str, path: Path) -> None:
    assert imports_that_point_up(module, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import supernet.train.loop",
        "from supernet.train import train",
        "from supernet import cli",
        "from supernet import Supernet",
        "def f():\n    from supernet.search import search",
        "importlib.import_module('supernet.export')",
    ],
)
def test_an_import_that_points_up_is_found(source: str) -> None:
    assert len(imports_that_point_up("supernet.space.genes", source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import supernet.errors",
        "from supernet import files, __version__",
        "from supernet.space.spec import Space",
        "import numpy",
    ],
)
def test_an_import_that_points_down_is_allowed(source: str) -> None:
    assert imports_that_point_up("supernet.space.genes", source) == []


def test_no_module_of_a_low_level_imports_torch_where_it_must_not() -> None:
    light = [(n, p) for n, p in modules() if room_of(n) in {"space", *LEVELS[-1]}]
    found = [
        f"{name}:{line}: {other}"
        for name, path in light
        for line, other in imported(ast.parse(path.read_text(encoding="utf-8")))
        if other.split(".")[0] in HEAVY
    ]
    assert found == []


@pytest.mark.parametrize(
    "name",
    ["supernet", "supernet.space", "supernet.latency_tables", "supernet.runs", "supernet.search"],
)
def test_import_stays_light(name: str, tmp_path: Path) -> None:
    code = f"import sys, {name}; print(*sorted(set(sys.modules) & {set(HEAVY)!r}))"
    assert run(code, tmp_path).split() == []


def test_spaces_load_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from supernet.space import list_spaces, load_space\n"
        "assert list_spaces()\n"
        "for name in list_spaces(): load_space(name)\n"
        f"print(*sorted(set(sys.modules) & {set(HEAVY)!r}))"
    )
    assert run(code, tmp_path).split() == []


@pytest.mark.cli
def test_help_leaves_the_heavy_packages_out(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from supernet.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print('heavy:', *sorted(set(sys.modules) & {set(HEAVY)!r}))"
    )
    output = run(code, tmp_path)
    assert "Usage:" in output
    assert output.splitlines()[-1] == "heavy:"


@pytest.mark.cli
def test_help_answers_fast(tmp_path: Path) -> None:
    """CPU time and not the clock, best of five: other programs must not fail this."""
    command = [sys.executable, "-m", "supernet", "--help"]
    assert min(cpu_seconds(command, tmp_path) for _ in range(5)) < 0.3


def cpu_seconds(command: list[str], cwd: Path) -> float:
    """User and system time of a program that ends well."""
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_utime + usage.ru_stime


@pytest.fixture(scope="module")
def with_a_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a search was saved by a process that needed no heavy package."""
    folder = tmp_path_factory.mktemp("results")
    make = (
        "import sys\n"
        "import supernet\n"
        "import numpy as np\n"
        "from supernet.space import load_space, macs_of\n"
        "space = load_space('demo')\n"
        "def top1(genes): return np.log(macs_of(space, genes))\n"
        "supernet.search(space, accuracy=top1, objectives=['macs'], budget=12,"
        " folder='searches/costs')\n"
        f"print('heavy:', *sorted(set(sys.modules) & {set(HEAVY)!r}))"
    )
    assert run(make, folder).split() == ["heavy:"]
    return folder


@pytest.mark.cli
@pytest.mark.parametrize("command", [["results"], ["results", "show", "costs"], ["report"]])
def test_what_reads_results_leaves_torch_out(command: list[str], with_a_search: Path) -> None:
    code = (
        "import sys\n"
        "from supernet.cli.main import main\n"
        f"try: main({command!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        f"print('heavy:', *sorted(set(sys.modules) & {set(HEAVY)!r}))"
    )
    assert run(code, with_a_search).splitlines()[-1] == "heavy:"


@pytest.mark.parametrize("package", [name for name, path in modules() if path.stem == "__init__"])
def test_no_public_name_hides_a_module_of_its_package(package: str) -> None:
    """Else `import supernet.room.name as module` gives a function; `search` is a module itself."""
    room = importlib.import_module(package)
    names = getattr(room, "__all__", vars(room))
    own = {module.name for module in pkgutil.iter_modules(room.__path__)}
    hidden = [n for n in names if n in own and not isinstance(getattr(room, n), ModuleType)]
    assert hidden == []
