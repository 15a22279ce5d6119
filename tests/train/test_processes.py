"""Several processes train what one process trains."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from supernet.errors import ConfigError
from supernet.latency import store_table
from supernet.space import load_space
from supernet.train import joined_processes, list_checkpoints, load_checkpoint
from tests.train.toy_latency import table_of

SPACE = """
format: supernet.space
version: 1
name: tiny
resolutions: [24, 28]
stem: {width: [8], stride: 2}
stages:
  - {width: [8, 16], depth: [1, 2], kernel: [3, 5], expand: [2, 3], stride: 2, se: [0.25]}
head: {width: 32}
"""

RECIPE = """
format: supernet.recipe
version: 1
name: together
batch_size: 64
ema: 0.5
augment: {auto: trivial, erasing: 0.5, mixup: 0.2, cutmix: 1.0}
phases:
  - {name: largest, epochs: 0.02, lr: 0.1}
  - name: random
    epochs: 0.02
    lr: 0.1
    elastic: {kernel: 0, depth: 0, expand: 0, width: 0}
    subnets: [random, random]
    distill: 0.5
    sort_channels: true
  - name: sandwich
    epochs: 0.02
    lr: 0.1
    elastic: {kernel: 0, depth: 0, expand: 0, width: 0}
    subnets: [largest, smallest, best_up]
    distill: 1.0
    teacher: in_place
  - name: search
    epochs: 0.02
    lr: 0.1
    elastic: {kernel: 0, depth: 0, expand: 0, width: 0}
    search: {method: proxyless, target: toy, limit_ms: 0.3, lr: 0.1, weight: 1.0, warmup: 0}
"""

CELLS = """
format: supernet.space
version: 1
name: graphs
resolutions: [28]
stem: {width: [8], stride: 2, act: none}
cells: {nodes: 3, repeats: 1, filters: 4, operations: [identity, max3, sep3], twice: false}
head: {before: relu}
"""

CELL_RECIPE = """
format: supernet.recipe
version: 1
name: near
batch_size: 64
ema: 0.5
auxiliary: 0.4
clip_norm: 1.0
phases:
  - {name: random, epochs: 0.02, lr: 0.1, elastic: {operator: 0}}
  - name: both
    epochs: 0.02
    lr: 0.1
    elastic: {operator: 0}
    subnets: [largest, random]
    distill: 0.5
    teacher: in_place
"""

TRAIN = ["-m", "supernet", "train", "--run-folder"]
SCRIPT = Path(__file__).with_name("in_processes.py")


def launch(folder: Path, *arguments: object, processes: int) -> tuple[list[str], dict[str, str]]:
    """The command that runs a script or a module in so many processes, its environment."""
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SUPERNET_HOME": str(folder / "home")}
    return [*start, *map(str, arguments)], environment


def run(folder: Path, *arguments: object, processes: int) -> str:
    """Run a script or a module in so many processes; what they wrote."""
    command, environment = launch(folder, *arguments, processes=processes)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    (folder / "space.yaml").write_text(SPACE)
    (folder / "recipe.yaml").write_text(RECIPE)
    space = replace(load_space(folder / "space.yaml"), in_channels=1, num_classes=10)
    with pytest.MonkeyPatch.context() as patch:  # where the processes look for it
        patch.setenv("SUPERNET_HOME", str(folder / "home"))
        store_table(table_of(space))
    return folder


def test_two_processes_give_the_weights_of_one(folder: Path):
    states, parts = [], 2
    for processes in (1, 2):
        weights = folder / f"{processes}.pt"
        run(folder, SCRIPT, "space.yaml", "recipe.yaml", weights, parts, processes=processes)
        states.append(torch.load(weights))
    one, two = states
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-9, atol=1e-11, msg=name)
    assert (folder / "2" / "metrics.jsonl").read_text().count("\n") == 4
    learned = [json.loads((folder / f"{n}" / "architecture.jsonl").read_text()) for n in (1, 2)]
    for name, own in learned[0]["probabilities"].items():
        assert learned[1]["probabilities"][name] == pytest.approx(own, abs=1e-5), name
    assert learned[0]["entropy"] < 0.999 * math.log(2) * len(learned[0]["probabilities"])


@pytest.mark.slow
def test_two_processes_train_cells_with_an_auxiliary_head_as_one_does(folder: Path) -> None:
    (folder / "cells.yaml").write_text(CELLS)
    (folder / "near.yaml").write_text(CELL_RECIPE)
    states = []
    for processes in (1, 2):
        weights = folder / f"cells-{processes}.pt"
        run(folder, SCRIPT, "cells.yaml", "near.yaml", weights, 2, processes=processes)
        kept = load_checkpoint(list_checkpoints(weights.with_suffix("") / "checkpoints")[-1])
        states.append(torch.load(weights) | {f"head {n}": v for n, v in kept.auxiliary.items()})
    one, two = states
    assert "head linear.weight" in one
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-9, atol=1e-11, msg=name)


def test_wrong_input_ends_all_processes_alike_and_only_the_first_says_so(folder: Path):
    (folder / "taken").mkdir()
    (folder / "taken" / "config.yaml").touch()
    for options, text in (
        (("--data", "nowhere"), "error: nowhere: no such folder"),
        (("--run-folder", "taken"), "error: taken holds a run already"),
    ):
        first, other = two_processes(folder, "-m", "supernet", "train", *options)
        assert (first[0], other) == (2, (2, ""))
        assert first[1].startswith(text)


def two_processes(folder: Path, *arguments: str) -> list[tuple[int, str]]:
    """Exit codes and stderr of processes as `torchrun` starts them; it would kill the slower."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in ("0", "1"):
        own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        own |= {"MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, **own},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
    try:
        said = [process.communicate(timeout=120)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, text) for process, text in zip(started, said)]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2 says several processes, RANK is not set"),
        ({"WORLD_SIZE": "2", "RANK": "1"}, "several processes, MASTER_ADDR is not set"),
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE must be a whole number, found 'many'"),
        (
            {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "here", "MASTER_PORT": "1"},
            "RANK must be below 2, what WORLD_SIZE says, found 2",
        ),
    ],
)
def test_an_environment_that_says_half_of_it_is_named(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], told: str
) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=told), joined_processes("cpu"):
        pass


@pytest.mark.slow
def test_a_training_of_two_processes_of_which_one_is_killed_goes_on(folder: Path):
    recipe = RECIPE.replace("random\n    epochs: 0.02", "random\n    epochs: 0.25")
    (folder / "longer.yaml").write_text(recipe)
    options = ["--space", "space.yaml", "--recipe", "longer.yaml"]
    said = run(folder, *TRAIN, "whole", *options, processes=2)
    assert said.count("run: whole") == 1
    assert "Warning" not in said
    command, environment = launch(folder, *TRAIN, "killed", *options, processes=2)
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE) as both:
        try:
            wait_for_checkpoint(folder / "killed", both)
        finally:
            os.kill(int(children(both.pid)[1]), signal.SIGKILL)  # of the second rank
        said = both.communicate(timeout=120)[1].decode()
    assert both.returncode != 0, said
    last = f"checkpoints/step-{max(steps(folder / 'whole'))}"
    assert 0 < max(steps(folder / "killed")) < max(steps(folder / "whole"))
    run(folder, *TRAIN, "killed", "--resume", processes=2)
    kept, found = (folder / r / last / "supernet.safetensors" for r in ("whole", "killed"))
    assert kept.read_bytes() == found.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_training_with_an_auxiliary_head_that_is_killed_goes_on(
    folder: Path, processes: int
) -> None:
    (folder / "cells.yaml").write_text(CELLS)
    longer = CELL_RECIPE.replace("both\n    epochs: 0.02", "both\n    epochs: 0.1")
    (folder / "near.yaml").write_text(longer)
    options = ["--space", "cells.yaml", "--recipe", "near.yaml"]
    whole, killed = (folder / f"{name}-{processes}" for name in ("whole", "killed"))
    run(folder, *TRAIN, whole, *options, processes=processes)
    command, environment = launch(folder, *TRAIN, killed, *options, processes=processes)
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE) as both:
        try:
            wait_for_checkpoint(killed, both)
        finally:
            last = both.pid if processes == 1 else int(children(both.pid)[1])
            os.kill(last, signal.SIGKILL)
        both.communicate(timeout=120)
    assert 0 < max(steps(killed)) < max(steps(whole))
    run(folder, *TRAIN, killed, "--resume", processes=processes)
    last_step = f"step-{max(steps(whole))}"
    one, other = (load_checkpoint(r / "checkpoints" / last_step) for r in (whole, killed))
    for name, value in {**one.weights, **one.auxiliary, **one.raw_auxiliary}.items():
        assert torch.equal({**other.weights, **other.auxiliary, **other.raw_auxiliary}[name], value)


def children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def steps(run_folder: Path) -> list[int]:
    """Of its checkpoints."""
    found = (run_folder / "checkpoints").glob("step-*")
    return [int(path.name.removeprefix("step-")) for path in found]


def wait_for_checkpoint(run_folder: Path, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 120
    while not steps(run_folder):
        assert time.monotonic() < end, "no checkpoint in time"
        assert process.poll() is None, "ended without a checkpoint"
        time.sleep(0.02)
