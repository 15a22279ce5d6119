"""Files of formats whose packages are not installed here."""

from pathlib import Path

import pytest
from supernet.export import FORMATS
from supernet.export.contract import Exporter

from supernet.errors import ConfigError
from supernet.workflow.evaluation import EvaluateRequest, evaluate_files
from supernet.workflow.export_folder import written_files


@pytest.fixture(autouse=True)
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_missing(exporter: Exporter) -> None:
        raise AssertionError(f"asked for the packages of {exporter.title}")

    monkeypatch.setattr(Exporter, "check", is_missing)


@pytest.mark.parametrize("name", FORMATS)
def test_what_belongs_to_a_file_is_known_without_its_packages(name: str, tmp_path: Path):
    file = f"model{FORMATS[name].suffix}"
    assert tmp_path / file in written_files(tmp_path, [file])


def test_a_file_that_runs_on_other_machines_only_says_so_and_asks_for_no_package(tmp_path: Path):
    (tmp_path / "model.mlpackage").mkdir()
    with pytest.raises(ConfigError, match="CoreML does not run on this machine"):
        evaluate_files([tmp_path / "model.mlpackage"], EvaluateRequest())
