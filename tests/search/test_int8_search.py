"""Accuracies on integers: measured as exported files have them, and predicted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError
from supernet.predict import AccuracyPairs, fit_predictor
from supernet.predict.contract import Predicted, Values
from supernet.space import Genes, Space, load_space, macs_of, sample
from supernet.workflow.quantisation_loss import Int8Predictor
from supernet.workflow.request import SearchRequest


@dataclass(frozen=True)
class Constant:
    """A predictor that says 90 % of everything."""

    space: Space
    kind: str = "constant"
    validation: None = None

    def mean(self, genes: Genes) -> Values:
        return np.full(len(genes), 90.0)

    def predict(self, genes: Genes) -> Predicted:
        return Predicted(mean=self.mean(genes), std=np.ones(len(genes)))


def learned(lost: Any) -> tuple[Int8Predictor, Genes]:
    space = load_space("demo")
    genes = sample(space, 60, np.random.default_rng(0))
    points = np.asarray(lost(space, genes), dtype=float)
    pairs = AccuracyPairs(space=space, genes=genes, top1=50 + points)
    base: Any = Constant(space)
    fitted = fit_predictor(pairs, "ridge")
    return Int8Predictor(base=base, lost=fitted, mean_lost=float(points.mean())), genes


def test_what_quantisation_costs_is_taken_off():
    """Where it follows the size of the network, it is predicted so."""
    made, genes = learned(lambda space, genes: 3 - np.log10(macs_of(space, genes)) / 4)
    lost = made.lost_points(genes)
    true = 3 - np.log10(macs_of(made.space, genes)) / 4
    assert np.corrcoef(lost, true)[0, 1] > 0.9
    np.testing.assert_allclose(made.mean(genes), 90 - lost)
    found = made.predict(genes)
    np.testing.assert_allclose(found.mean, 90 - lost)
    assert found.std is not None


def test_where_it_does_not_differ_it_is_the_mean():
    noise = np.random.default_rng(1).normal(0.5, 0.3, 60)
    made, genes = learned(lambda *_: noise)
    np.testing.assert_allclose(made.lost_points(genes), noise.mean())


def test_it_is_not_kept_as_a_file(tmp_path: Path):
    made, _ = learned(lambda _, genes: np.ones(len(genes)))
    with pytest.raises(ConfigError, match="not kept"):
        made.save(tmp_path / "a.json")
    assert made.additive() is None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"certify": True}, "nothing can be proven"),
        ({"measure": True, "ladder": ("500", "finetune:1")}, "not finetuned for int8"),
    ],
)
def test_what_int8_cannot_do_is_said(given: Any, text: str):
    with pytest.raises(ConfigError, match=text):
        SearchRequest(precision="int8", **given)
