"""`supernet predictor`: fit to a file, predict a file; bad input is one line."""

from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from supernet.cli.main import main
from supernet.space import load_space, macs_of
from tests.cli.conftest import Command

FLAGS = {
    "fit": {"--space", "--run", "--pairs", "--kind", "--output", "--seed"},
    "predict": {"--predictor", "--space", "--run", "--pairs", "--output"},
}
pytestmark = pytest.mark.cli


@pytest.mark.parametrize("name", FLAGS)
def test_no_flag_appears_or_goes_unnoticed(name: str) -> None:
    group = main.get_command(click.Context(main), "predictor")
    assert isinstance(group, click.Group)
    command = group.get_command(click.Context(main), name)
    assert command
    options = [p for p in command.params if isinstance(p, click.Option)]
    found = {flag for option in options for flag in option.opts if flag.startswith("--")}
    assert found == FLAGS[name] | {"--json", "--debug"}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    from supernet.predict.files import read_genes

    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "e": rng.choice([1, 4, 6], (40, 7)),
        "k": rng.choice([3, 5], (40, 7)),
        "l": rng.choice([1, 2, 3, 4], (40, 7)),
        "se": rng.random((40, 7)) < 0.5,
    }
    np.savez(tmp_path / "pairs.npz", **arrays)
    space = load_space("mnasnet_accel")
    top1 = 3 * np.log(macs_of(space, read_genes(tmp_path / "pairs.npz", space)))
    np.savez(tmp_path / "pairs.npz", **arrays, top1=top1)
    return tmp_path / "pairs.npz"


def test_what_is_fitted_predicts(supernet: Command, pairs: Path) -> None:
    space = ("--space", "mnasnet_accel")
    fitted = supernet(
        "predictor", "fit", *space, "--pairs", pairs, "--kind", "gp", "-o", "acc.json", "--json"
    )
    assert fitted.code == 0
    assert fitted.json["kind"] == "gp"
    assert fitted.json["held_out"]["kendall"] > 0.8
    found = supernet(
        "predictor", "predict", "--predictor", "acc.json", "--pairs", pairs, "-o", "o.csv", "--json"
    )
    assert found.code == 0
    assert found.json["subnets"] == 40
    header, first, *_ = Path("o.csv").read_text().splitlines()
    assert header.endswith("top1,predicted,std")
    *_, top1, predicted, _ = map(float, first.split(","))
    assert abs(top1 - predicted) < 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--space", "mnasnet_accel", "--kind", "forest", "-o", "a.json"), "unknown kind"),
        (("--space", "mnasnet_accel", "-o", "a.txt"), "must end in .json"),
        (("--space", "demo", "-o", "a.json"), "that k, e, l and se do not tell"),
        (("-o", "a.json"), "give --space NAME or --run FOLDER"),
        (("--space", "demo", "--run", "x", "-o", "a.json"), "not both"),
    ],
)
def test_bad_input_is_one_line(
    supernet: Command, pairs: Path, arguments: tuple[str, ...], text: str
) -> None:
    result = supernet("predictor", "fit", "--pairs", pairs, *arguments)
    assert result.code == 2
    (line,) = result.stderr.strip().splitlines()[:1]
    assert text in line
