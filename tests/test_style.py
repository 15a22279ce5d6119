"""What a linter does not see: a check that is silenced says why."""

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
