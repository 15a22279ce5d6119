"""The doctor writes where other commands would, and says what it found."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.cli


def test_every_place_is_written_and_left_as_it_was(supernet: Command, tiny_yaml: Path) -> None:
    before = sorted(tiny_yaml.iterdir())
    found = supernet("doctor", "--json")
    assert found.code == 0, found.stderr
    facts = found.json["facts"]
    assert facts["runs"] == f"{tiny_yaml / 'runs'}: written and removed"
    assert facts["tables and caches"] == f"{tiny_yaml / 'home'}: written and removed"
    assert facts["temporary files"].endswith(": written and removed")
    assert sorted(tiny_yaml.iterdir()) == before


def test_a_place_that_cannot_be_written_is_told_with_the_way_out(
    supernet: Command, tiny_yaml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiny_yaml / "runs").write_text("a file")
    monkeypatch.setenv("SUPERNET_HOME", str(tiny_yaml / "runs" / "home"))
    found = supernet("doctor")
    assert found.code == 1
    assert "problem: runs: cannot write" in found.stderr
    assert "problem: tables and caches: cannot write" in found.stderr
    last = found.stderr.splitlines()[-1]
    assert last.startswith("error: 2 of 3 places cannot be written")
    assert "--run" in last
    assert "SUPERNET_HOME" in last
    assert "TMPDIR" in last
