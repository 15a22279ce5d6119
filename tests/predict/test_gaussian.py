"""The accuracy predictor learns, generalises, and comes back from its file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from supernet.errors import ConfigError, FileFormatError
from supernet.predict import AccuracyPredictor, cross_validate, kendall_tau
from supernet.space import Genes, Space, one_hot, sample, unique

Values = npt.NDArray[np.float64]


def accuracies(space: Space, genes: Genes) -> Values:
    """A function of subnets: each choice adds something, and two of them interact."""
    hot = one_hot(space, genes)
    weights = np.random.default_rng(7).normal(size=hot.shape[1])
    return np.asarray(70 + hot @ weights + 2 * hot[:, 0] * hot[:, 3], dtype=np.float64)


@pytest.fixture
def pairs(tiny_space: Space, rng: np.random.Generator) -> tuple[Genes, Values]:
    genes = unique(sample(tiny_space, 130, rng))[:120]
    return genes, accuracies(tiny_space, genes)


def test_it_predicts_subnets_that_it_has_not_seen(
    tiny_space: Space, pairs: tuple[Genes, Values], rng: np.random.Generator
) -> None:
    predictor = AccuracyPredictor(tiny_space, *pairs)
    genes = sample(tiny_space, 300, rng)
    error = predictor.predict(genes) - accuracies(tiny_space, genes)
    assert np.sqrt(np.square(error).mean()) < 0.3 * pairs[1].std()


def test_cross_validation_tells_how_good_it_is(
    tiny_space: Space, pairs: tuple[Genes, Values]
) -> None:
    checked = cross_validate(tiny_space, *pairs)
    assert checked.folds == 5
    assert checked.kendall > 0.8
    assert checked.rmse < 0.5 * pairs[1].std()
    assert (checked.measured == pairs[1]).all()


def test_cross_validation_knows_nothing_of_the_subnet_it_predicts(
    tiny_space: Space, pairs: tuple[Genes, Values]
) -> None:
    genes, top1 = pairs
    before = cross_validate(tiny_space, genes, top1).predicted
    changed = top1.copy()
    changed[17] = 0.0
    after = cross_validate(tiny_space, genes, changed).predicted
    assert after[17] == before[17]
    assert (after != before).any()


def test_random_accuracies_cannot_be_predicted(
    tiny_space: Space, pairs: tuple[Genes, Values], rng: np.random.Generator
) -> None:
    noise = rng.uniform(50, 60, len(pairs[0]))
    assert abs(cross_validate(tiny_space, pairs[0], noise).kendall) < 0.25


def test_large_populations_are_predicted_as_small_ones_are(
    tiny_space: Space, pairs: tuple[Genes, Values], rng: np.random.Generator
) -> None:
    predictor = AccuracyPredictor(tiny_space, pairs[0][:20], pairs[1][:20])
    genes = sample(tiny_space, 8192 + 5, rng)  # more than one internal portion
    whole = predictor.predict(genes)
    np.testing.assert_allclose(whole[8190:], predictor.predict(genes[8190:]), rtol=1e-12)
    assert predictor.predict(genes[:0]).shape == (0,)


def test_too_few_pairs_or_impossible_accuracies_are_refused(
    tiny_space: Space, pairs: tuple[Genes, Values]
) -> None:
    genes, top1 = pairs
    with pytest.raises(ConfigError, match="at least 8 accuracy pairs, found 7"):
        AccuracyPredictor(tiny_space, genes[:7], top1[:7])
    for wrong in (-0.1, 100.5, np.nan, np.inf):
        changed = top1.copy()
        changed[3] = wrong
        with pytest.raises(ConfigError, match="accuracies must be from 0 to 100 percent"):
            AccuracyPredictor(tiny_space, genes, changed)


# ------------------------------------------------------------------ files


@pytest.fixture
def saved(tmp_path: Path, tiny_space: Space, pairs: tuple[Genes, Values]) -> Path:
    AccuracyPredictor(tiny_space, *pairs).save(tmp_path / "predictor.json")
    return tmp_path / "predictor.json"


def test_a_loaded_predictor_predicts_the_same(
    saved: Path, tiny_space: Space, pairs: tuple[Genes, Values], rng: np.random.Generator
) -> None:
    predictor, again = (
        AccuracyPredictor(tiny_space, *pairs),
        AccuracyPredictor.load(saved, tiny_space),
    )
    assert (again.genes == predictor.genes).all()
    genes = sample(tiny_space, 100, rng)
    # accuracies are kept to 4 decimals
    np.testing.assert_allclose(again.predict(genes), predictor.predict(genes), atol=1e-3)


def test_the_file_is_read_by_people_too(saved: Path, pairs: tuple[Genes, Values]) -> None:
    body = json.loads(saved.read_text())
    assert body["format"] == "supernet.predictor"
    assert body["genes"][:3] == ["resolution", "stem.width", "stage1.width"]
    assert body["pairs"][0]["genes"] == pairs[0][0].tolist()


def test_a_predictor_of_another_space_is_refused(saved: Path, demo_space: Space) -> None:
    with pytest.raises(FileFormatError, match="of space 'tiny', not of 'demo'"):
        AccuracyPredictor.load(saved, demo_space)


@pytest.mark.parametrize(
    ("genes", "text"),
    [
        ([0], "every pair needs 18 genes"),
        ([0] * 17 + [2], "a gene is outside the choices of its dimension"),
        ([-1] + [0] * 17, "a gene is outside the choices of its dimension"),
    ],
)
def test_genes_that_do_not_fit_the_space_are_refused(
    saved: Path, tiny_space: Space, genes: list[int], text: str
) -> None:
    body: dict[str, Any] = json.loads(saved.read_text())
    body["pairs"][5]["genes"] = genes
    saved.write_text(json.dumps(body))
    with pytest.raises(FileFormatError, match=text):
        AccuracyPredictor.load(saved, tiny_space)


def test_a_loss_ranks_subnets_better_than_a_noisy_accuracy(demo_space: Space) -> None:
    rng = np.random.default_rng(0)
    genes, unseen = sample(demo_space, 100, rng), sample(demo_space, 300, rng)
    weights = rng.normal(size=one_hot(demo_space, genes).shape[1])

    def quality(rows: Genes) -> np.ndarray:
        return 85 + 0.4 * (one_hot(demo_space, rows) @ weights)

    top1 = quality(genes) + rng.normal(size=100)
    loss = (100 - quality(genes)) / 30 + 0.005 * rng.normal(size=100)
    blind = AccuracyPredictor(demo_space, genes, top1).predict(unseen)
    seeing = AccuracyPredictor(demo_space, genes, top1, loss).predict(unseen)
    taus = [kendall_tau(values, quality(unseen)) for values in (blind, seeing)]
    assert taus[1] > taus[0] + 0.1
    assert abs(seeing.mean() - quality(unseen).mean()) < 0.5  # still in percent


def test_a_loss_that_says_nothing_is_left_out(demo_space: Space) -> None:
    rng = np.random.default_rng(0)
    genes, top1 = sample(demo_space, 20, rng), rng.uniform(50, 60, 20)
    plain = AccuracyPredictor(demo_space, genes, top1).predict(genes)
    same = AccuracyPredictor(demo_space, genes, top1, np.full(20, 0.5)).predict(genes)
    np.testing.assert_array_equal(plain, same)
