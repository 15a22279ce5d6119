"""A training that diverges leaves a run that still searches and exports."""

from pathlib import Path

import pytest

from supernet.runs import Run
from tests.cli.conftest import RECIPE, Command

pytestmark = pytest.mark.cli


def test_after_a_training_diverged_its_last_good_checkpoint_is_searched_and_exported(
    supernet: Command, tiny_yaml: Path
) -> None:
    first, second = RECIPE.split("  - name: rest")
    wild = "  - name: rest" + second.replace("lr: 0.2", "lr: 100")
    (tiny_yaml / "recipe.yaml").write_text(f"momentum: 0.99{first}{wild}")
    train = ("train", "--space", "tiny.yaml", "--recipe", "recipe.yaml", "--run", "mine")
    found = supernet(*train)
    assert found.code == 1
    last = found.stderr.splitlines()[-1]
    run = Run(tiny_yaml / "mine")
    good = run.weights()
    assert "not finite at step" in last
    epoch = run.metrics()[-1]["epoch"]
    where = good.parent.relative_to(tiny_yaml)
    assert f"the last good checkpoint is that of epoch {epoch:.4g}, {where}" in last
    assert "lower lr" in last
    assert "clip_norm" in last
    assert "--init mine" in last
    assert [record["phase"] for record in run.metrics()] == ["largest"]
    search = supernet("search", "--run", "mine", "--pairs", 12, "--budget", 2000, "--confirm", 0)
    assert search.code == 0, search.stderr
    export = supernet("export", "--run", "mine", "--onnx", "-o", "net")
    assert export.code == 0, export.stderr
    assert (tiny_yaml / "net" / "model.onnx").is_file()
