"""Every kind of predictor keeps the contract: a new entry of the registry is tested for free."""

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from supernet.errors import ConfigError, FileFormatError, MissingPackageError
from supernet.metrics import kendall_tau, root_mean_square_error
from supernet.predict import (
    AccuracyPairs,
    AccuracyPredictor,
    FittedPredictor,
    _likelihood,
    cross_validate,
    fit_predictor,
    load_predictor,
)
from supernet.predict._kinds import KINDS, available
from supernet.predict._model import Model
from supernet.predict.contract import INTERVAL_90, Additive
from supernet.predict.ensemble import Ensemble, Member
from supernet.space import Genes, Space, canonical, load_space, macs_of, one_hot, sample, unique

Values = npt.NDArray[np.float64]


def accuracies(space: Space, genes: Genes) -> Values:
    """A function of subnets: each choice adds something, and two of them interact."""
    hot = one_hot(space, genes)
    weights = np.random.default_rng(7).normal(size=hot.shape[1])
    return np.asarray(70 + hot @ weights + 2 * hot[:, 0] * hot[:, 3], dtype=np.float64)


def pairs_of(space: Space, count: int, noise: float = 0.3) -> AccuracyPairs:
    rng = np.random.default_rng(1)
    genes = unique(sample(space, 2 * count, rng))[:count]
    top1 = accuracies(space, genes) + noise * rng.normal(size=len(genes))
    return AccuracyPairs(space=space, genes=genes, top1=top1)


def test_a_gaussian_process_believes_few_pairs_less(monkeypatch: pytest.MonkeyPatch):
    """What a weak prior takes for good after twenty pairs is far from it."""
    space = load_space("mobilenet_v3")

    def truth(genes: Genes) -> Values:
        hot = one_hot(space, genes)
        weights = 0.05 * np.random.default_rng(7).normal(size=hot.shape[1])
        return np.asarray(70 + np.log(macs_of(space, genes)) + hot @ weights)

    def errors(seed: int) -> tuple[float, float]:
        rng = np.random.default_rng(seed)
        genes, others = sample(space, 20, rng), sample(space, 2000, rng)
        top1 = truth(genes) + 0.05 * rng.normal(size=20)
        pairs = AccuracyPairs(space=space, genes=genes, top1=top1)
        predicted, right = fit_predictor(pairs, "gp", folds=2).mean(others), truth(others)
        return root_mean_square_error(predicted, right), kendall_tau(predicted, right)

    firm = np.mean([errors(seed) for seed in range(4)], axis=0)
    monkeypatch.setattr(_likelihood, "_WIDTHS", (3.0, 3.0))
    weak = np.mean([errors(seed) for seed in range(4)], axis=0)
    assert firm[0] < 0.9 * weak[0]
    assert firm[1] > weak[1] + 0.05


@pytest.fixture(scope="module", params=available())
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@lru_cache
def fit_once(space: Space, kind: str) -> FittedPredictor:
    return fit_predictor(pairs_of(space, 100), kind, folds=3)


@pytest.fixture
def fitted(kind: str, tiny_space: Space) -> FittedPredictor:
    return fit_once(tiny_space, kind)


def test_it_predicts_subnets_that_it_has_not_seen(
    fitted: FittedPredictor, tiny_space: Space, rng: np.random.Generator
) -> None:
    assert isinstance(fitted, AccuracyPredictor)
    genes = sample(tiny_space, 300, rng)
    found, expected = fitted.predict(genes), accuracies(tiny_space, genes)
    assert np.sqrt(np.square(found.mean - expected).mean()) < 0.7 * expected.std()
    np.testing.assert_array_equal(found.mean, fitted.mean(genes))
    assert found.std is not None
    inside = np.abs(found.mean - expected) < INTERVAL_90 * found.std
    assert inside.mean() > 0.8  # the noise of the pairs is not in these
    assert fitted.validation is not None
    assert fitted.validation.kendall > 0.5
    assert 0.8 <= (fitted.validation.coverage or 0) <= 0.97
    assert fitted.validation.poor == ""


def test_it_comes_back_from_its_file(
    fitted: FittedPredictor, tiny_space: Space, tmp_path: Path, rng: np.random.Generator
) -> None:
    fitted.save(tmp_path / "p.json")
    again = load_predictor(tmp_path / "p.json", tiny_space)
    genes = sample(tiny_space, 100, rng)
    np.testing.assert_allclose(again.mean(genes), fitted.mean(genes), rtol=1e-6)
    assert again.validation is not None
    assert fitted.validation is not None
    assert again.kind == fitted.kind
    assert again.validation.kendall == pytest.approx(fitted.validation.kendall, abs=1e-3)


def test_another_space_is_refused(
    fitted: FittedPredictor, demo_space: Space, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "p.json")
    with pytest.raises(
        FileFormatError, match=r"of space 'tiny' \(\w{12}\), not of 'demo' \(\w{12}\)"
    ):
        load_predictor(tmp_path / "p.json", demo_space)


@pytest.mark.filterwarnings("error")
def test_constant_labels_and_eight_pairs_are_enough(kind: str, tiny_space: Space) -> None:
    pairs = pairs_of(tiny_space, 8)
    constant = fit_predictor(replace(pairs, top1=np.full(8, 50.0)), kind, folds=2)
    assert constant.mean(pairs.genes) == pytest.approx(50.0)
    found = fit_predictor(pairs, kind, folds=2).predict(pairs.genes)
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.std if found.std is not None else 0).all()


def test_large_populations_are_predicted_as_small_ones_are(
    kind: str, tiny_space: Space, rng: np.random.Generator
) -> None:
    model = KINDS[kind].fit(pairs_of(tiny_space, 40), 0)
    genes = sample(tiny_space, 16384 + 5, rng)  # more than one internal portion
    whole = model.mean(genes)
    np.testing.assert_allclose(whole[16380:], model.mean(genes[16380:]), rtol=1e-5)
    assert model.mean(genes[:0]).shape == (0,)


def rest_of(model: Model, additive: Additive, genes: Genes) -> Values:
    """What a model predicts beside its additive part, shape ``(N,)``."""
    total = np.full(len(genes), additive.offset)
    for columns, table in additive.tables:
        total += table[tuple(genes[:, column] for column in columns)]
    total -= model.mean(genes)
    return -total


def test_the_additive_part_and_its_bounds_hold(
    kind: str, tiny_space: Space, rng: np.random.Generator
) -> None:
    model = KINDS[kind].fit(pairs_of(tiny_space, 80), 0)
    additive = model.additive()
    if additive is None:
        return
    rest = rest_of(model, additive, canonical(tiny_space, sample(tiny_space, 2000, rng)))
    assert (rest >= additive.rest_low - 1e-9).all()
    assert (rest <= additive.rest_high + 1e-9).all()
    if kind == "ridge":
        assert (additive.rest_low, additive.rest_high) == (0, 0)


def test_the_additive_part_of_an_ensemble_is_the_weighted_sum(
    tiny_space: Space, rng: np.random.Generator
) -> None:
    pairs = pairs_of(tiny_space, 80)
    models = {kind: KINDS[kind].fit(pairs, 0) for kind in ("ridge", "gp", "mlp")}

    def ensemble(**weights: float) -> Ensemble:
        return Ensemble([Member(kind=k, model=models[k], weight=w) for k, w in weights.items()])

    mixed = ensemble(ridge=0.7, gp=0.3, mlp=0.0)
    additive, of_gp = mixed.additive(), models["gp"].additive()
    assert additive is not None
    assert of_gp is not None
    rest = rest_of(mixed, additive, canonical(tiny_space, sample(tiny_space, 2000, rng)))
    assert (rest >= additive.rest_low - 1e-9).all()
    assert (rest <= additive.rest_high + 1e-9).all()
    assert additive.rest_high == pytest.approx(0.3 * of_gp.rest_high)
    assert ensemble(ridge=0.9, mlp=0.1).additive() is None  # what a perceptron adds is unknown


def test_the_same_seed_gives_the_same_predictor(kind: str, tiny_space: Space) -> None:
    pairs = pairs_of(tiny_space, 30)
    first, second = (KINDS[kind].fit(pairs, 5).mean(pairs.genes) for _ in range(2))
    np.testing.assert_array_equal(first, second)


# ------------------------------------------------------------------ choosing


def test_auto_is_no_worse_than_the_best_kind(tiny_space: Space) -> None:
    pairs = pairs_of(tiny_space, 60)
    found = fit_predictor(pairs, "auto", folds=3)
    best = min(cross_validate(pairs, kind, folds=3).rmse for kind in ("ridge", "gp"))
    assert found.validation is not None
    assert found.validation.rmse <= 1.0001 * best


def test_an_ensemble_comes_back_from_its_file(tiny_space: Space, tmp_path: Path) -> None:
    pairs = pairs_of(tiny_space, 40)
    found = fit_predictor(pairs, "ensemble", folds=2)
    found.save(tmp_path / "p.json")
    again = load_predictor(tmp_path / "p.json", tiny_space)
    assert again.kind == "ensemble"
    np.testing.assert_allclose(again.mean(pairs.genes), found.mean(pairs.genes), rtol=1e-6)


def test_an_unknown_kind_lists_the_known_ones(tiny_space: Space) -> None:
    with pytest.raises(ConfigError, match="known: auto, ensemble, gbdt, gp, mlp, ridge"):
        fit_predictor(pairs_of(tiny_space, 10), "forest of trees")
    with pytest.raises(ConfigError, match="did you mean 'ridge'"):
        fit_predictor(pairs_of(tiny_space, 10), "rigde")


def test_a_missing_package_names_the_extra(
    tiny_space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(MissingPackageError, match="scikit-learn") as caught:
        KINDS["gbdt"].fit(pairs_of(tiny_space, 10), 0)
    assert caught.value.hint == "pip install 'supernet[sklearn]'"


# ------------------------------------------------------------------ pairs


def test_cross_validation_knows_nothing_of_the_subnet_it_predicts(tiny_space: Space) -> None:
    pairs = pairs_of(tiny_space, 40)
    before = cross_validate(pairs, "ridge").predicted
    changed = pairs.top1.copy()
    changed[17] = 0.0
    after = cross_validate(replace(pairs, top1=changed), "ridge").predicted
    assert after[17] == before[17]
    assert (after != before).any()


def test_random_accuracies_are_called_poor(tiny_space: Space, rng: np.random.Generator) -> None:
    pairs = replace(pairs_of(tiny_space, 100), top1=rng.uniform(50, 60, 100))
    checked = cross_validate(pairs, "gp")
    assert abs(checked.kendall) < 0.25
    assert "ranks held-out subnets" in checked.poor


def test_equal_subnets_are_averaged(tiny_space: Space) -> None:
    pairs = pairs_of(tiny_space, 12)
    twice = pairs.joined(pairs.genes[[3]], pairs.top1[[3]] + 1.0)
    merged = twice.merged()
    assert (merged.genes == pairs.genes).all()
    np.testing.assert_allclose(merged.top1 - pairs.top1, 0.5 * (np.arange(12) == 3), atol=1e-12)


def test_too_few_pairs_or_impossible_accuracies_are_refused(tiny_space: Space) -> None:
    pairs = pairs_of(tiny_space, 9)
    with pytest.raises(ConfigError, match="at least 8 accuracy pairs, found 7"):
        fit_predictor(pairs.take(np.arange(7)), "gp")
    for wrong in (-0.1, 100.5, np.nan, np.inf):
        top1 = pairs.top1.copy()
        top1[3] = wrong
        with pytest.raises(ConfigError, match=r"top1\[3\]: accuracies must be from 0 to 100"):
            replace(pairs, top1=top1)
    genes = pairs.genes.copy()
    genes[2, 0] = 9
    with pytest.raises(ConfigError, match=r"genes\[2\]: resolution must be below 2, found 9"):
        replace(pairs, genes=genes)
    with pytest.raises(ConfigError, match="needs the shape"):
        replace(pairs, top1=pairs.top1[:4])


def test_a_loss_ranks_subnets_better_than_a_noisy_accuracy(demo_space: Space) -> None:
    rng = np.random.default_rng(0)
    genes, unseen = sample(demo_space, 100, rng), sample(demo_space, 300, rng)
    weights = rng.normal(size=one_hot(demo_space, genes).shape[1])

    def quality(rows: Genes) -> Values:
        return np.asarray(85 + 0.4 * (one_hot(demo_space, rows) @ weights), dtype=np.float64)

    top1 = quality(genes) + rng.normal(size=100)
    loss = (100 - quality(genes)) / 30 + 0.005 * rng.normal(size=100)
    taus = []
    for own in (None, loss):
        pairs = AccuracyPairs(space=demo_space, genes=genes, top1=top1, loss=own)
        values = fit_predictor(pairs, "gp").mean(unseen)
        taus.append(kendall_tau(values, quality(unseen)))
    assert taus[1] > taus[0] + 0.1
    assert abs(values.mean() - quality(unseen).mean()) < 0.5  # still in percent


# ------------------------------------------------------------------ files


@pytest.fixture
def saved(tmp_path: Path, tiny_space: Space) -> Path:
    fit_predictor(pairs_of(tiny_space, 20), "ridge").save(tmp_path / "predictor.json")
    return tmp_path / "predictor.json"


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
        load_predictor(saved, tiny_space)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("forest", {}),
        ("ridge", {"pair_share": 0.1, "strength": "many"}),
        ("gp", {"parameters": [1.0]}),
        ("gp", {"parameters": "none"}),
        ("mlp", {"shapes": [[1, 2, 3]], "weights": "AAAA"}),
        ("gbdt", {"seed": -1}),
        ("ensemble", {"members": []}),
        ("ensemble", {"members": [{"kind": "ridge", "weight": 2, "state": {}}]}),
    ],
)
def test_a_state_that_was_edited_is_refused(
    saved: Path, tiny_space: Space, kind: str, state: dict[str, Any]
) -> None:
    body = json.loads(saved.read_text()) | {"kind": kind, "state": state}
    saved.write_text(json.dumps(body))
    with pytest.raises(FileFormatError):
        load_predictor(saved, tiny_space)


def test_a_file_of_the_first_version_is_a_gaussian_process(saved: Path, tiny_space: Space) -> None:
    body = json.loads(saved.read_text()) | {"version": 1}
    for key in ("kind", "state", "scale", "validation"):
        del body[key]
    saved.write_text(json.dumps(body))
    found = load_predictor(saved, tiny_space)
    assert isinstance(found, FittedPredictor)
    assert (found.kind, found.validation) == ("gp", None)
