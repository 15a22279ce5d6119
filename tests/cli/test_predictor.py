"""`supernet predictor collect`, and pairs that are collected whatever interrupts."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click import Option

from supernet.cli.predictor.collect import command
from supernet.errors import ConfigError, FileFormatError
from supernet.evaluate import Evidence
from supernet.predict.files import read_genes, read_pairs
from supernet.runs import Run
from supernet.space import Genes, Space, largest, macs_of, subnet_keys, unique
from supernet.workflow.collect import check_predictor, collect_pairs, write_pairs
from supernet.workflow.engines import EngineRequest

Command = Callable[..., Any]

pytestmark = pytest.mark.cli


def test_the_options_are_these() -> None:
    names = [option for p in command.params if isinstance(p, Option) for option in p.opts]
    assert sorted(names) == [
        "--debug", "--device", "--engine", "--images", "--json", "--output", "--ray-address",
        "--run", "--run-folder", "--seed", "--subnets", "--workers", "-o",
    ]  # fmt: skip


def test_pairs_are_written_as_arrays_and_nothing_is_measured_twice(
    supernet: Command, run: Run
) -> None:
    arguments = ("predictor", "collect", "--subnets", 6, "--images", 300, "--json")
    found = supernet(*arguments)
    assert found.code == 0, found.stderr
    assert found.json["subnets"] == 6
    with np.load(run.pairs) as arrays:
        genes, top1, loss = arrays["genes"], arrays["top1"], arrays["loss"]
        assert str(arrays["space"]) == run.space().hash
    assert (unique(genes) == genes).all()
    assert (genes[0] == largest(run.space())[0]).all()
    assert top1.shape == loss.shape == (6,)
    condition = run.condition("holdout", images=300)
    before = Evidence(run.evidence).lookup(condition, subnet_keys(run.space(), genes))
    assert before.top1.tolist() == top1.tolist()
    assert supernet(*arguments).code == 0
    after = Evidence(run.evidence).lookup(condition, subnet_keys(run.space(), genes))
    assert after.seconds.tolist() == before.seconds.tolist()
    # the same images as the evaluator's own
    score = run.evaluator().evaluate
    from supernet.evaluate import tasks_of

    (task,) = tasks_of(run.space(), genes[:1], images=300)
    assert score(task).top1 == pytest.approx(top1[0])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--subnets", "1"], "1 is not in the range 2<=x<=100000"),
        (["--images", "0"], "0 is not in the range x>=1"),
        (["--workers", "0"], "0 is not in the range 1<=x<=256"),
        (["--workers", "many"], "'many' is not a valid integer range"),
        (["--run", "nowhere"], "nowhere: not a run"),
        (["--engine", "rays"], "unknown engine 'rays'; did you mean 'ray'?"),
        (["--ray-address", "auto"], "ray_address: the engine processes joins no cluster"),
    ],
)
def test_bad_input_is_answered_by_one_line(
    in_trained: Command, arguments: list[str], text: str
) -> None:
    result = in_trained("predictor", "collect", *arguments)
    assert result.code == 2
    assert text in result.stderr


@pytest.mark.slow
def test_an_actor_of_ray_measures_what_this_process_does(supernet: Command, run: Run) -> None:
    pytest.importorskip("ray")
    arguments = ("predictor", "collect", "--subnets", 4, "--images", 300)
    pairs = []
    for engine in ("processes", "ray"):
        found = supernet(*arguments, "--engine", engine)
        assert found.code == 0, found.stderr
        with np.load(run.pairs) as arrays:
            pairs.append({name: arrays[name].tolist() for name in ("genes", "top1", "loss")})
        run.evidence.unlink()
    assert pairs[0] == pairs[1]


def test_counts_are_checked_in_python_too(run: Run) -> None:
    with pytest.raises(ConfigError, match="count: must be 2 or more, found 1"):
        collect_pairs(run, 1)
    with pytest.raises(ConfigError, match="images: must be 1 or more, found 0"):
        collect_pairs(run, 4, images=0)
    with pytest.raises(ConfigError, match="workers: must be 1 or more, found 0"):
        collect_pairs(run, 4, engine=EngineRequest(workers=0))


def test_a_run_without_images_is_refused(run: Run) -> None:
    config = run.folder / "config.yaml"
    config.write_text(config.read_text().replace("data: fashion_mnist", "data: ''"))
    with pytest.raises(ConfigError, match="imported without images"):
        collect_pairs(run, 4)


def test_a_predictor_is_checked_on_subnets_that_it_has_not_seen(run: Run) -> None:
    pairs = collect_pairs(run, 6, images=100)

    def predict(genes: Genes) -> np.ndarray[Any, Any]:
        return macs_of(run.space(), genes).astype(float)

    found = check_predictor(run, predict, 3, images=100)
    assert len(unique(np.concatenate([pairs.genes, found.genes]))) == 9
    assert (found.predicted == predict(found.genes)).all()
    again = collect_pairs(run, 6, images=100)
    assert again.top1.tolist() == pairs.top1.tolist()
    with pytest.raises(ConfigError, match="count: 5000 fresh subnets were asked for"):
        check_predictor(run, predict, 5000)


def test_what_was_collected_can_be_learned_from(
    run: Run, tmp_path: Path, tiny_space: Space
) -> None:
    pairs = collect_pairs(run, 6, images=100)
    path = write_pairs(tmp_path / "pairs.npz", run, pairs)
    found = read_pairs(path, run.space())
    assert found.genes.tolist() == pairs.genes.tolist()
    assert found.top1.tolist() == pairs.top1.tolist()
    with pytest.raises(FileFormatError, match="its genes are of the space"):
        read_pairs(path, tiny_space)
    wrong = pairs.genes.copy()
    wrong[0, 0] = 100
    write_pairs(path, run, pairs._replace(genes=wrong))
    with pytest.raises(ConfigError, match="must be a whole number from 0 to 1, found 100"):
        read_genes(path, run.space())
    write_pairs(path, run, pairs._replace(genes=pairs.genes.astype(str)[:, :1]))
    with pytest.raises(FileFormatError, match=r"genes: has the shape \(6, 1\)"):
        read_pairs(path, run.space())


def _collect(folder: Path, count: int) -> None:
    collect_pairs(Run(folder), count, images=500)


def test_what_was_killed_goes_on_and_measures_nothing_twice(run: Run) -> None:
    count, condition = 30, run.condition("holdout", images=500)
    collecting = multiprocessing.get_context("spawn").Process(
        target=_collect, args=(run.folder, count)
    )
    collecting.start()
    while not run.evidence.exists() or len(known(run, condition)) < 3:
        assert collecting.is_alive(), "ended before it measured"
        time.sleep(0.01)
    assert collecting.pid
    os.kill(collecting.pid, signal.SIGKILL)
    collecting.join()
    before = known(run, condition)
    assert len(before) < count
    told: list[tuple[int, int]] = []
    pairs = collect_pairs(
        run, count, images=500, progress=lambda done, total, text: told.append((done, total))
    )
    after = known(run, condition)
    assert len(pairs.top1) == len(after) == count
    assert {key: after[key] for key in before} == before  # with the seconds that it took
    assert [done for done, total in told if total == count] == list(
        range(len(before) + 1, count + 1)
    )


def known(run: Run, condition: Any) -> dict[bytes, float]:
    """Genes of what was measured, and its wall time."""
    evidence = Evidence(run.evidence)
    pairs = evidence.pairs(condition)
    keys = subnet_keys(run.space(), pairs.genes) if len(pairs.top1) else []
    seconds = evidence.lookup(condition, keys).seconds
    return {row.tobytes(): float(s) for row, s in zip(pairs.genes, seconds)}
