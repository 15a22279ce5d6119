"""Actors of a Ray that starts here are held against the memory of this machine."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from supernet.errors import ConfigError
from supernet.runs import Run
from supernet.workflow import engines
from supernet.workflow.engines import EngineRequest, check_actors_memory, open_engine


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for two; and nothing of Ray starts."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(engines, "free_mib", lambda: 2.5 * engines._WORKER_MIB)
    monkeypatch.setattr(engines, "RayActors", lambda makes, **_: len(makes))


def test_more_actors_than_memory_holds_are_refused(tmp_path: Path) -> None:
    two, three = (EngineRequest(engine="ray", workers=workers) for workers in (2, 3))
    opened: Any = open_engine(Run(tmp_path), two)
    assert opened == 2
    with pytest.raises(ConfigError, match="workers: 3 processes need about") as error:
        open_engine(Run(tmp_path), three)
    assert error.value.hint == "--workers 2"


def test_nodes_of_a_cluster_have_memory_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    check_actors_memory(99, "10.0.0.1:6379")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    check_actors_memory(99, "")
