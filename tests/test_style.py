"""What a linter does not see: silenced checks say why, functions stay short."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SILENCED = re.compile(r"#\s*(type: ignore|noqa)\b[^#]*")


def comments(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def unexplained(source: str) -> list[str]:
    """Comments that silence a check without a second comment behind."""
    return [c for c in comments(source) if SILENCED.match(c) and not re.search(r"  # \w", c)]


@pytest.mark.parametrize("folder", ["supernet", "export", "latency_tables", "benchmarks", "tests"])
def test_silenced_checks_say_why(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {comment}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for comment in unexplained(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_bare_one_is_found() -> None:
    bare, told = "# type: ignore[misc]", "# noqa: S310  # checked above"
    assert unexplained(f"a = 1  {bare}\nb = 2  {told}\n") == [bare]


CEILING = 45  # lines of a function below its docstring
ONE_NEST = {"_accumulate"}  # of loops, for the compiler


def test_functions_stay_below_the_ceiling() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {function.name} has {lines} lines"
        for folder in ("supernet", "export")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and function.name not in ONE_NEST
        if (lines := body_lines(function)) > CEILING
    ]
    assert found == []


def body_lines(function: ast.FunctionDef) -> int:
    first = function.body[0]
    start = first.lineno - 1 if ast.get_docstring(function) is None else first.end_lineno
    assert start is not None
    assert function.end_lineno is not None
    return function.end_lineno - start
