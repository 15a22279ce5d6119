"""`supernet quality` measures, trains standalone, goes on where it stopped, and draws."""

import contextlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click import Option

from supernet.cli.quality import command
from supernet.errors import ConfigError, FileFormatError
from supernet.models import Supernet
from supernet.runs import Run, find_run
from supernet.space import decode, largest, load_space, operators, sample, total_macs
from supernet.train import Phase, Recipe, standalone_recipe
from supernet.workflow.quality import measure_quality, standalone_space
from supernet.workflow.quality_file import SubnetQuality, correlations, read_quality

Command = Callable[..., Any]

pytestmark = pytest.mark.cli


def test_the_options_are_these() -> None:
    names = [option for p in command.params if isinstance(p, Option) for option in p.opts]
    assert sorted(names) == [
        "--debug", "--device", "--json", "--run", "--run-folder", "--seed", "--split",
        "--standalone", "--subnets",
    ]  # fmt: skip


def test_subnets_are_measured_drawn_and_compared_with_training_standalone(
    supernet: Command, run: Run
):
    found = supernet("quality", "--subnets", 4, "--standalone", 3, "--json")
    assert found.code == 0, found.stderr
    document = json.loads((run.folder / "quality.json").read_text())
    assert document.pop("format") == "supernet.quality"
    assert document.pop("version") == 2
    files = found.json["files"]
    assert document == {key: value for key, value in found.json.items() if key != "files"}
    rows = document["subnets"]
    assert [row["macs"] for row in rows] == sorted(row["macs"] for row in rows)
    names = [row["name"] for row in rows]
    assert sorted(names) == ["largest", *(f"random {n}" for n in range(1, 5)), "smallest"]
    macs = {row["name"]: row["macs"] for row in rows}  # others may have as many
    assert (macs["smallest"], macs["largest"]) == (rows[0]["macs"], rows[-1]["macs"])
    standalone = {row["name"]: row for row in rows if row["standalone_top1"] is not None}
    assert set(standalone) == {"largest", "smallest", "random 1"}
    assert all(row["gap"] == row["top1"] - row["standalone_top1"] for row in standalone.values())
    assert document["images"] == 2000
    assert document["standalone_epochs"] == pytest.approx(0.4)
    page = (run.folder / "report.html").read_text()
    assert files["report"].endswith("report.html")
    assert "<h2>Supernet quality</h2>" in page
    assert page.count("trained standalone: ") == 3


def test_accuracies_are_real(supernet: Command, run: Run):
    quality, *_ = measure_quality(run, subnets=1, split="holdout")
    evaluator = run.evaluator()
    space = run.space()
    expected = evaluator.subnet_score(decode(space, largest(space))[0], "holdout")
    row = quality.subnets[-1]
    assert (row.top1, row.loss) == pytest.approx(expected)
    assert quality.images == 2000
    assert (quality.kendall_standalone, quality.mean_gap, quality.standalone_epochs) == (
        None,
        None,
        None,
    )


def test_what_was_stopped_goes_on_to_the_same_result(run: Run, tmp_path: Path):
    whole, *_ = measure_quality(run, subnets=2, standalone=2)
    for path in sorted((run.folder / "standalone").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()

    class StopError(Exception):
        pass

    def stop_at(limit: int, text: str) -> Callable[[int, int, str], None]:
        def stop(done: int, total: int, what: str) -> None:
            if done == limit and what.startswith(text):
                raise StopError

        return stop

    # in the first training; at the start of the second; after the second was measured
    for limit, text in (
        (20, "standalone 1 of 2: tr"),
        (1, "standalone 2 of 2: tr"),
        (1, "standalone 2 of 2: ev"),
    ):
        with pytest.raises(StopError):
            measure_quality(run, subnets=2, standalone=2, progress=stop_at(limit, text))
    told: list[str] = []
    again, *_ = measure_quality(
        run, subnets=2, standalone=2, progress=lambda done, total, what: told.append(what)
    )
    assert again == whole
    assert not [what for what in told if "standalone 1" in what or "training" in what]
    assert read_quality(run.folder) == whole


def test_a_search_keeps_the_section_and_the_section_keeps_a_search(
    in_trained: Command, trained: Path
):
    assert in_trained("quality", "--subnets", 1).code == 0
    run = find_run(None)
    page = (run.folder / "report.html").read_text()
    assert "<h3>Architecture</h3>" in page
    assert "<h2>Supernet quality</h2>" in page
    searched = in_trained("search", "--pairs", 12, "--budget", 1000, "--confirm", 0)
    assert searched.code == 0, searched.stderr
    assert "<h2>Supernet quality</h2>" in (run.folder / "report.html").read_text()


def test_another_seed_measures_others_and_nothing_twice(supernet: Command, run: Run):
    def rows() -> int:
        with contextlib.closing(sqlite3.connect(run.folder / "evaluations.sqlite")) as database:
            return int(database.execute("SELECT count(*) FROM evaluations").fetchone()[0])

    assert supernet("quality", "--subnets", 3).code == 0
    first = rows()
    assert supernet("quality", "--subnets", 3).code == 0
    assert rows() == first
    assert supernet("quality", "--subnets", 3, "--seed", 9).code == 0
    assert rows() > first


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--standalone", "1"], "standalone: must be 0, or from 2 (smallest and largest) to 22"),
        (["--subnets", "1", "--standalone", "4"], "to 3 (all that are measured), found 4"),
        (["--split", "train"], "'train' is not one of 'test', 'holdout'"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(in_trained: Command, arguments: list[str], text: str):
    result = in_trained("quality", *arguments)
    assert result.code == 2
    assert text in result.stderr


def test_an_imported_supernet_has_no_recipe_to_train_standalone_by(run: Run):
    config = run.folder / "config.yaml"
    config.write_text(config.read_text().replace("imported: {}", "imported: {source: x}"))
    with pytest.raises(
        ConfigError, match="has no recipe by which subnets could be trained standalone"
    ):
        measure_quality(run, standalone=2)


def test_a_damaged_file_is_named(run: Run):
    (run.folder / "quality.json").write_text("{}")
    with pytest.raises(FileFormatError, match=r"quality.json: expected format 'supernet.quality'"):
        read_quality(run.folder)


def test_what_started_from_other_weights_starts_from_them_standalone_too(
    run: Run, supernet: Command, monkeypatch: pytest.MonkeyPatch
):
    """With a learning rate of next to nothing, both stay what they were at the start."""
    Path("still.yaml").write_text(
        "format: supernet.recipe\nversion: 1\nname: still\nphases:\n"
        "  - {name: all, epochs: 0.05, lr: 1.0e-9, elastic: {kernel: 0, depth: 0, expand: 0}}\n"
    )
    started = supernet(
        "train", "--space", "tiny.yaml", "--recipe", "still.yaml", "--init", run.folder,
        "--run", "second",
    )  # fmt: skip
    assert started.code == 0, started.stderr
    second = find_run(Path("second").resolve())
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    quality, *_ = measure_quality(second, subnets=2, standalone=4)
    assert [row.gap for row in quality.subnets] == [pytest.approx(0, abs=0.1)] * 4
    assert max(row.top1 for row in quality.subnets) > 15  # not those of random weights
    again, *_ = measure_quality(second, subnets=2, standalone=4)
    assert again == quality


# ------------------------------------------------------------ one network of a space


@pytest.mark.parametrize("name", ["tiny", "mixed", "mobilenet_v3_large", "resnet50d", "proxyless"])
def test_the_space_of_one_subnet_holds_that_network(name: str, tiny_space, mixed_space):
    own = {"tiny": tiny_space, "mixed": mixed_space}
    space = replace(own[name] if name in own else load_space(name), bn_momentum=0.03)
    for subnet in decode(space, sample(space, 3, np.random.default_rng(1))):
        standalone = standalone_space(space, subnet, dropout=0.125)
        assert operators(standalone, decode(standalone, largest(standalone))[0]) == operators(
            space, subnet
        )
        assert (standalone.bn_momentum, standalone.bn_eps) == (0.03, space.bn_eps)
        assert standalone.head.dropout == 0.125
        assert total_macs(operators(space, subnet)) > 0
    assert Supernet(standalone).largest.resolution == subnet.resolution


def test_training_standalone_is_one_phase_of_the_same_length():
    recipe = Recipe(
        name="two",
        batch_size=32,
        weight_decay=0.01,
        init="required",
        drop_path=0.2,
        phases=(
            Phase(name="a", epochs=2, warmup_epochs=0.5, lr=0.1, lr_end=0.05),
            Phase(name="b", epochs=3.5, lr=0.3, lr_end=0.01, distill=0.5, sort_channels=True),
        ),
    )
    standalone = standalone_recipe(recipe, largest=False)
    (phase,) = standalone.phases
    assert (phase.epochs, phase.warmup_epochs, phase.lr, phase.lr_end) == (5.5, 0.5, 0.3, 0.01)
    assert (phase.distill, phase.sort_channels, phase.subnets) == (0, False, ("largest",))
    assert (standalone.batch_size, standalone.weight_decay) == (32, 0.01)
    assert (standalone.init, standalone.drop_path) == ("", 0)
    assert standalone_recipe(recipe, largest=True, init="x").drop_path == 0.2


def test_correlations_of_ordered_and_of_opposite_accuracies():
    def row(macs: int, top1: float, standalone: float | None) -> SubnetQuality:
        return SubnetQuality(
            name="", subnet="", resolution=8, macs=macs, params=1, top1=top1, loss=0,
            standalone_top1=standalone,
        )  # fmt: skip

    rows = [row(1, 50, 60), row(2, 60, 55), row(3, 70, None)]
    assert correlations(rows) == (1.0, -1.0, -2.5)
    assert correlations(rows[2:]) == (0.0, None, None)
