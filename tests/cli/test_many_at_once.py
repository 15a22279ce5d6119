"""What is started several times in one second does not meet in one folder."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from supernet.files import sha256
from supernet.locks import LOCK, alone
from supernet.runs import Run
from supernet.train.checkpoint import load_checkpoint
from tests.cli.conftest import Command

pytestmark = pytest.mark.cli

# waits for its input to end, when it is loaded: all begin at the same moment
START = """
import sys
import supernet.workflow.train
from supernet.cli.main import main
print("ready", flush=True)
sys.stdin.read()
main()
"""


def at_once(commands: Sequence[Sequence[str]], folder: Path) -> list[tuple[int, str, str]]:
    """Exit codes and outputs of commands that begin at the same moment."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", START, *command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
    ended = [child.communicate() for child in children]
    return [(child.returncode, *texts) for child, texts in zip(children, ended)]


TRAIN = ("train", "--space", "tiny.yaml", "--recipe", "recipe.yaml", "--epochs", "0.1", "--json")


@pytest.mark.parametrize("count", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_trainings_of_one_second_get_a_whole_run_each(
    count: int, supernet: Command, tiny_yaml: Path
) -> None:
    commands = [[*TRAIN, "--seed", str(seed)] for seed in range(count)]
    found = at_once(commands, tiny_yaml)
    assert [code for code, _, _ in found] == [0] * count, [error for _, _, error in found]
    runs = [Run(tiny_yaml / json.loads(text.splitlines()[-1])["run"]) for _, text, _ in found]
    assert len({run.folder for run in runs}) == count
    assert sorted(path.name for path in (tiny_yaml / "runs").iterdir()) == sorted(
        run.folder.name for run in runs
    )
    assert [run.config().seed for run in runs] == [*range(count)]
    metrics = [run.metrics() for run in runs]
    assert [[record["phase"] for record in one] for one in metrics] == [["largest", "rest"]] * count
    assert len({one[0]["loss"] for one in metrics}) == count
    for run in runs:
        assert not (run.folder / LOCK).exists()
        assert load_checkpoint(run.weights().parent).step == run.metrics()[-1]["step"]
    # a run's own seed gives its own metrics: alone it trains to the same
    again = supernet(*TRAIN, "--seed", count - 1, "--run", "again")
    assert again.code == 0, again.stderr
    assert [r["loss"] for r in Run(tiny_yaml / "again").metrics()] == [
        record["loss"] for record in metrics[-1]
    ]


def test_one_folder_takes_one_training(supernet: Command, tiny_yaml: Path) -> None:
    commands = [[*TRAIN, "--seed", str(seed), "--run", "mine"] for seed in range(3)]
    found = at_once(commands, tiny_yaml)
    assert sorted(code for code, _, _ in found) == [0, 2, 2], found
    for code, _, error in found:
        if code:
            assert "mine" in error.splitlines()[-1]
            assert "at work there" in error or "holds a run already" in error
    (winner,) = (seed for seed, (code, _, _) in enumerate(found) if code == 0)
    run = Run(tiny_yaml / "mine")
    assert run.config().seed == winner
    assert [record["phase"] for record in run.metrics()] == ["largest", "rest"]


def test_a_run_that_is_trained_is_neither_resumed_nor_removed_by_others(
    in_trained: Command, trained: Path
) -> None:
    (run,) = (Run(path.parent) for path in (trained / "runs").glob("*/config.yaml"))
    before = sha256(run.weights()), (run.folder / "metrics.jsonl").read_text()
    with alone(run.folder / LOCK):
        refused = in_trained("train", "--resume")
    assert refused.code == 2
    assert f"{run.folder.name}: another process is at work there" in refused.stderr
    assert (sha256(run.weights()), (run.folder / "metrics.jsonl").read_text()) == before
    assert in_trained("train", "--resume").code == 0


def test_a_folder_takes_one_export(in_trained: Command, trained: Path) -> None:
    with alone(trained / "net" / LOCK):
        refused = in_trained("export", "--onnx", "-o", "net")
    assert refused.code == 2
    assert "net: another process is at work there" in refused.stderr
    assert list((trained / "net").iterdir()) == []
    assert in_trained("export", "--onnx", "-o", "net").code == 0
    assert not (trained / "net" / LOCK).exists()


def test_a_training_that_does_not_begin_leaves_no_folder(
    supernet: Command, tiny_yaml: Path
) -> None:
    for more in ((), ("--run", "mine")):
        refused = supernet(*TRAIN, "--batch-size", 20000, *more)
        assert refused.code == 2
        assert "is more than the" in refused.stderr
    assert not (tiny_yaml / "mine").exists()
    assert not (tiny_yaml / "runs").exists()
