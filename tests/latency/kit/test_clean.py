"""What is shipped in a kit runs on Python 3.8 with NumPy and a runtime, and nothing else."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supernet.latency.kits import files_of, make_plan
from supernet.space import Space

ROOT = Path(__file__).parents[3]
OWN = ("supernet.blocks", "supernet.errors", "supernet.latency.backends", "supernet.latency.kit")
RUNTIMES = {"numpy", "onnxruntime", "openvino"}
# Newer than Python 3.8, and used at run time where they stand.
NEWER_METHODS = {"removeprefix", "removesuffix", "bit_count"}
NEWER_NAMES = {"pairwise", "TypeAlias", "ParamSpec", "Self", "StrEnum", "ExceptionGroup", "UTC"}
NEWER_ARGUMENTS = {"dataclass": {"slots", "kw_only"}, "zip": {"strict"}}
BUILT_IN_GENERICS = {"dict", "list", "set", "tuple", "frozenset", "type"}

SHIPPED = [
    ROOT / "supernet/errors.py",
    *(
        path
        for folder in ("blocks", "latency/backends", "latency/kit")
        for path in sorted((ROOT / "supernet" / folder).glob("*.py"))
        if path.name != "torch.py"
    ),
]


def problems(source: str) -> list[str]:
    """What Python 3.8 would not run, with line numbers."""
    try:
        tree = ast.parse(source, feature_version=(3, 8))
    except SyntaxError as error:
        return [f"{error.lineno}: {error.msg}"]
    return [f"{line}: {what}" for line, what in _newer(tree)]


def _newer(tree: ast.Module) -> Iterator[tuple[int, str]]:
    annotations = _annotations(tree)
    generics = BUILT_IN_GENERICS | _from_collections(tree)
    for node in ast.walk(tree):
        if id(node) in annotations:
            continue
        match node:
            case ast.Attribute(attr=name) if name in NEWER_METHODS | NEWER_NAMES:
                yield node.lineno, name
            case ast.ImportFrom(names=names):
                yield from ((node.lineno, a.name) for a in names if a.name in NEWER_NAMES)
            case ast.Subscript(value=ast.Name(id=name)) if name in generics:
                yield node.lineno, f"{name}[]"
            case ast.BinOp(op=ast.BitOr(), left=left) if _is_union(left):
                yield node.lineno, "X | Y, of types or of dicts"
            case ast.Call(func=ast.Name(id=name), keywords=keywords):
                wrong = NEWER_ARGUMENTS.get(name, set()) & {k.arg or "" for k in keywords}
                yield from ((node.lineno, f"{name}({argument}=)") for argument in wrong)
            case ast.With(items=[_, _, *_]) | ast.Match():
                yield node.lineno, type(node).__name__


def _from_collections(tree: ast.Module) -> set[str]:
    """Names that cannot be subscripted before 3.9, unlike those of `typing`."""
    modules = ("collections", "collections.abc")
    found = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module in modules]
    return {alias.name for node in found for alias in node.names}


def _annotations(tree: ast.Module) -> set[int]:
    """Nodes inside annotations: not evaluated, with the __future__ import."""
    first = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    if not first:
        return set()
    found: set[int] = set()
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            found |= {id(inner) for inner in ast.walk(part)} if part else set()
    return found


def _is_union(node: ast.expr) -> bool:
    """Whether the left side of ``|`` is a type or a dict, not a number or set."""
    match node:
        case ast.Name(id=name):
            return name in {*BUILT_IN_GENERICS, "int", "str", "float", "bool", "None"}
        case ast.Constant(value=None) | ast.Dict():
            return True
    return False


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_is_python_3_8(path: Path) -> None:
    assert problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_imports_nothing_that_a_device_lacks(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    foreign = {
        name
        for name in found
        if name.split(".")[0] not in RUNTIMES | set(sys.stdlib_module_names)
        and not name.startswith(OWN)
    }
    assert foreign == set()


@pytest.mark.parametrize(
    "source",
    [
        "match x:\n    case 1: pass",
        "x: int | None = None",
        "def f(x: list[int]): pass",
        "A = list[int]",
        "from collections.abc import Callable\nRun = Callable[[], None]",
        "'a'.removeprefix('b')",
        "from typing import TypeAlias",
        "from datetime import UTC",
        "@dataclass(slots=True)\nclass A: pass",
        "zip(a, b, strict=True)",
        "{} | x",
    ],
)
def test_what_python_3_8_lacks_is_found(source: str) -> None:
    assert problems(source)


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations\ndef f(x: list[int] | None) -> int | str: pass",
        "x = 1 << 3 | 2",
        "from typing import Optional\nx: Optional[int] = None",
        "if (n := 3): pass",
    ],
)
def test_what_python_3_8_has_is_allowed(source: str) -> None:
    assert problems(source) == []


def test_every_shipped_file_is_checked_here(tiny_space: Space) -> None:
    files = dict(files_of(make_plan(tiny_space, fit=4, hold_out=0)))
    shipped = {str(path.relative_to(ROOT)) for path in SHIPPED}
    made = {"__main__.py", "supernet/__init__.py", "supernet/latency/__init__.py"}
    assert set(files) - made - {"supernet/latency/kit/plan.json"} == shipped
    for name in shipped:
        assert files[name] == (ROOT / name).read_text(encoding="utf-8")
