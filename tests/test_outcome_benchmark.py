"""The benchmarks of outcomes and of ranking: rows that go on, equal time, honest aims."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from supernet import load_space
from supernet.models import Supernet
from supernet.progress import Progress
from supernet.train import load_recipe

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"

if not FOLDER.is_dir():
    pytest.skip("only in the repository", allow_module_level=True)

NAMES = ("a@32", "b@32", "c@32")
MADE = {"a@32": 70.0, "b@32": 80.0, "c@32": 79.0}


def filled(rows: Any, seed: int, front: float, single: float, slower: float = 1.0) -> None:
    """Rows of a seed: ours so many points better, or this much slower than theirs."""
    ms = {name: 1.0 + number for number, name in enumerate(NAMES)}
    measured = dict(ms)
    for name in NAMES:
        rows.get(f"{name} seed {seed}", lambda n=name: {"test_top1": MADE[n]})
        rows.get(f"front-{seed} as found {name}", lambda n=name: {"test_top1": MADE[n] - 5})
        rows.get(
            f"front-{seed} tuned {name}",
            lambda n=name: {"test_top1": MADE[n] + front, "counted_s": 10.0},
        )
        measured[f"front {name}"] = ms[name]
    rows.get(f"front-{seed} trained", lambda: {"counted_s": 30.0})
    rows.get(f"single-{seed} trained", lambda: {"counted_s": 60.0})
    rows.get(f"single-{seed} as found b@32", lambda: {"test_top1": MADE["b@32"] + single})
    measured["single b@32"] = ms["b@32"] * slower
    rows.get(f"measured seed {seed}", lambda: measured)


def test_rows_are_made_once_and_refuse_other_settings(
    load_benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    kind, made = load_benchmark("resumable").Rows, []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"value": 3}

    assert kind(tmp_path, {"minutes": 5}).get("row", make)["value"] == 3
    again = kind(tmp_path, {"minutes": 5}).get("row", make)
    assert again["value"] == 3
    assert "wall_s" in again
    assert len(made) == 1
    with pytest.raises(SystemExit, match="begun with other minutes; give another --work"):
        kind(tmp_path, {"minutes": 6})


def test_a_result_tells_gains_over_seeds_and_that_aims_are_met(
    load_benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    report, rows = load_benchmark("outcome_report"), load_benchmark("resumable").Rows(tmp_path, {})
    filled(rows, 0, front=0.0, single=1.5)
    filled(rows, 1, front=1.0, single=0.5)
    body = report.body_of(rows, NAMES, seconds=60.0)
    gain = body["by_latency"]["a@32"]["front - theirs"]
    assert gain == {"mean": 0.5, "deviation": pytest.approx(0.5**0.5), "values": [0.0, 1.0]}
    assert body["by_latency"]["a@32"]["front, as found"]["mean"] == 65.0
    # c is slower than b and worse: b is what one would take there
    assert body["by_latency"]["c@32"]["best of theirs as fast"]["mean"] == 80.0
    # 30 s and three times 10 s, of three trainings of 60 s
    assert body["shares_of_time"]["front, of all trainings"] == [pytest.approx(1 / 3)] * 2
    assert [aim["met"] for aim in body["aims"].values()] == [True, True]


def test_a_network_alone_is_told_beside_the_middle_one(
    load_benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    report, rows = load_benchmark("outcome_report"), load_benchmark("resumable").Rows(tmp_path, {})
    filled(rows, 0, front=0.0, single=1.5)
    before = report.body_of(rows, NAMES, seconds=60.0)
    rows.get("alone-0 trained", lambda: {"test_top1": 84.0, "ms": 1.98, "ms_theirs": 2.0})
    body = report.body_of(rows, NAMES, seconds=60.0)
    assert body["by_latency"]["b@32"]["alone - theirs"]["values"] == [4.0]
    assert body["by_latency"]["b@32"]["alone, ms / theirs"]["values"] == [pytest.approx(0.99)]
    assert body["by_latency"]["a@32"] == before["by_latency"]["a@32"]
    assert body["aims"] == before["aims"]  # it is no find of a supernet


@pytest.mark.parametrize(
    ("front", "single", "slower", "met"),
    [(0.0, 0.9, 1.0, [False, True]), (-0.1, 1.0, 1.0, [True, False]), (0, 2, 1.02, [False, True])],
)
def test_what_is_worse_or_slower_misses_an_aim(
    load_benchmark: Callable[[str], ModuleType],
    tmp_path: Path,
    front: float,
    single: float,
    slower: float,
    met: list[bool],
) -> None:
    report, rows = load_benchmark("outcome_report"), load_benchmark("resumable").Rows(tmp_path, {})
    filled(rows, 0, front=front, single=single, slower=slower)
    body = report.body_of(rows, NAMES, seconds=60.0)
    assert [aim["met"] for aim in body["aims"].values()] == met


def test_a_latency_that_no_subnet_reaches_misses_the_aim(
    load_benchmark: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, rows = load_benchmark("outcome_report"), load_benchmark("resumable").Rows(tmp_path, {})
    filled(rows, 0, front=3.0, single=3.0)
    for part in ("as found", "tuned"):
        del rows.rows[f"front-0 {part} a@32"]
    body = report.body_of(rows, NAMES, seconds=60.0)
    assert [aim["met"] for aim in body["aims"].values()] == [True, False]
    report.print_tables(body)
    printed = capsys.readouterr().out
    assert "met: single" in printed
    assert "MISSED: front" in printed
    assert "b@32: ms 2.00; theirs 80.00; front, as found 75.00; front 83.00" in printed


def test_of_each_step_the_fastest_round_counts(
    load_benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load_benchmark("equal_time")
    times = iter([0.0, 2.0, 3.0, 10.0, 11.0, 13.0])  # steps of 2 and 1 s, then of 1 and 2 s
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))

    def turn(progress: Progress) -> None:
        for step in range(3):
            progress(step, 3, "training")

    assert module.fastest({"one": turn}, rounds=2) == {"one": [1.0, 1.0]}


def test_a_recipe_is_as_long_as_fills_a_time(load_benchmark: Callable[[str], ModuleType]) -> None:
    module = load_benchmark("equal_time")
    supernet, recipe = Supernet(load_space("demo")), load_recipe("demo")
    speeds = dict.fromkeys(module.phases_of(recipe), 1e-8)
    found = module.fitted(supernet, recipe, speeds, 12_800, 200.0)
    assert module.recipe_seconds(supernet, found, speeds, 12_800) == pytest.approx(200.0)
    twice = module.fitted(supernet, recipe, speeds, 12_800, 400.0)
    assert twice.epochs == pytest.approx(2 * found.epochs)


@pytest.mark.parametrize("name", ["mobilenet_v2_0.15@32", "mobilenet_v3_small@32"])
def test_networks_of_others_halve_tiny_images_once_less(
    name: str, load_benchmark: Callable[[str], ModuleType]
) -> None:
    rival = load_benchmark("outcome_nets").Rival.of(name)
    network = rival.built(tuple("abc"), "scratch", 0).eval()
    images = torch.zeros(2, 3, 32, 32)
    assert network(images).shape == (2, 3)
    assert network.features(images).shape[-2:] == (2, 2)


def test_an_unknown_network_is_refused(load_benchmark: Callable[[str], ModuleType]) -> None:
    nets = load_benchmark("outcome_nets")
    for text in ("resnet50@64", "mobilenet_v2@64", "mobilenet_v2_0.5"):
        with pytest.raises(SystemExit, match="expected mobilenet_v2_WIDTH@SIZE"):
            nets.Rival.of(text)


def test_recipes_that_are_close_both_count_and_held_out_images_choose(
    load_benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    nets, theirs = load_benchmark("outcome_nets"), load_benchmark("outcome_theirs")
    small, large = map(nets.Rival.of, ("mobilenet_v3_small@64", "mobilenet_v3_small@96"))
    other = nets.Rival.of("mobilenet_v2_0.5@96")
    given = SimpleNamespace(start="scratch", device="cpu", seeds=[0], probe=0.5, minutes=4.0)
    rows = load_benchmark("resumable").Rows(tmp_path, {})
    one = theirs.Theirs(given=given, rows=rows, rivals=(small, large, other), dataset=pytest.fail)
    names = list(one.recipes())
    ours, usual = names[0], next(name for name in names if not name.startswith(nets.AS_OURS))
    seconds = {
        f"{rival} {name}": rival.size * (1.0 if name in (ours, usual) else 2.0)
        for rival in one.rivals
        for name in names
    }
    rows.get("costs", lambda: {"step_s": seconds})
    for rival, gain in ((large, 4.0), (other, 6.0)):
        rows.get(f"try {rival} {ours}", lambda: {"holdout_top1": 60.0})
        rows.get(f"try {rival} {usual}", lambda gain=gain: {"holdout_top1": 60.0 + gain})
    assert one.chosen(small) == [ours, usual]
    assert one.chosen(other) == [usual]
    for recipe, held_out in ((ours, 71.0), (usual, 70.0)):
        made = {"recipe": recipe, "holdout_top1": held_out, "test_top1": 140.0 - held_out}
        rows.get(f"{small} seed 0 by {recipe}", lambda made=made: made)
        one.file(small, 0, recipe).parent.mkdir(parents=True)
        one.file(small, 0, recipe).write_text(recipe)
    assert one.trained(small, 0)["test_top1"] == 69.0  # not by the test images
    assert one.file(small, 0).read_text() == ours


def test_subnets_are_spread_over_latencies(load_benchmark: Callable[[str], ModuleType]) -> None:
    ms = np.array([1.0, 5.0, 1.1, 2.9, 1.2, 3.1])
    assert load_benchmark("ranking").spread(ms, 3).tolist() == [0, 3, 1]


def test_the_interval_of_a_perfect_order_is_a_point(
    load_benchmark: Callable[[str], ModuleType],
) -> None:
    interval, values = load_benchmark("ranking").interval, np.arange(12.0)
    assert interval(values, values**2) == {"tau": 1.0, "low": 1.0, "high": 1.0}
    found = interval(values, np.random.default_rng(0).permutation(12).astype(float))
    assert found["low"] < found["tau"] < found["high"]
