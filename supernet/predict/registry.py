"""Fit and load accuracy predictors of any kind."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from supernet.arguments import checked, text, whole
from supernet.arguments import kind as of_kind
from supernet.predict._kinds import available, kind_of
from supernet.predict._model import Model
from supernet.predict.contract import AccuracyPairs, AccuracyPredictor, Validation, Values
from supernet.predict.ensemble import Ensemble, Member, stacking_weights
from supernet.predict.fitted import FittedPredictor, load_fitted
from supernet.predict.mlp import MLPPredictor
from supernet.predict.ofa import load_ofa
from supernet.predict.validate import calibrated, check_count, held_out
from supernet.space import Genes, Space, list_spaces
from supernet.threads import products_alone_if_busy

__all__ = ["CHOICES", "fit_predictor", "learn_more", "load_predictor", "named_space"]

CHOICES = ("auto", "ridge", "gp", "mlp", "gbdt", "ensemble")
"""What `fit_predictor` takes."""
_FEWEST_FOR_TREES = 800  # pairs: with fewer, trees cost the most time and help nobody
_GAIN = 0.99  # held-out error of an ensemble / of the best kind that makes it worth its time


def fit_predictor(
    pairs: AccuracyPairs, kind: str = "auto", *, seed: int = 0, folds: int = 5
) -> FittedPredictor:
    """Fit a predictor, with its held-out error from cross-validation.

    Args:
        pairs: measured subnets, at least 8 different ones; equal ones are averaged.
        kind: ``ridge``, ``gp``, ``mlp``, ``gbdt``, their stacked ``ensemble``, or
            ``auto`` for whichever of these has the smallest held-out error.
        seed: of everything random.
        folds: of the cross-validation.

    Raises:
        ConfigError: an unknown kind, or too few pairs.
        MissingPackageError: the kind needs a package that is not installed.

    Example:
        >>> import numpy as np
        >>> from supernet.space import load_space, macs_of, sample
        >>> space = load_space("demo")
        >>> genes = sample(space, 40, np.random.default_rng(0))
        >>> top1 = np.log(macs_of(space, genes))
        >>> pairs = AccuracyPairs(space=space, genes=genes, top1=top1)
        >>> fit_predictor(pairs, "gp").validation.kendall > 0.9
        True
    """
    rules = {"pairs": of_kind(AccuracyPairs), "kind": text, "seed": whole(0, np.inf)}
    seed = checked({"pairs": pairs, "kind": kind, "seed": seed}, rules)["seed"]
    folds = checked({"folds": folds}, {"folds": whole(-1)})["folds"]
    pairs = pairs.merged()
    check_count(pairs)
    with products_alone_if_busy():
        return _fit(pairs, kind, seed, folds)


def learn_more(
    predictor: FittedPredictor,
    genes: Genes,
    top1: Values,
    loss: Values | None = None,
    *,
    seed: int = 0,
) -> FittedPredictor:
    """A predictor of the same kind from the same pairs and more of them.

    Its error and the width of its intervals are those of `predictor`: subnets that a search
    chose lie close together, and say little of others.

    Args:
        predictor: that knows the first pairs.
        genes: subnets that were measured, ``(N, G)``.
        top1: their accuracies in percent, ``(N,)``.
        loss: their losses, ``(N,)``; without them losses no longer count.
        seed: of everything random.
    """
    pairs = predictor.pairs.joined(genes, top1, loss)
    fitted = fit_predictor(pairs, predictor.kind, seed=seed, folds=2)
    return replace(fitted, validation=predictor.validation, scale=predictor.scale)


def _fit(pairs: AccuracyPairs, kind: str, seed: int, folds: int) -> FittedPredictor:
    if kind not in ("auto", "ensemble"):
        kind_of(kind)
        return _single(pairs, kind, held_out(pairs, kind, folds=folds, seed=seed), seed)
    names = [n for n in available() if n != "gbdt" or len(pairs) >= _FEWEST_FOR_TREES]
    checked = {name: held_out(pairs, name, folds=folds, seed=seed) for name in names}
    best = min(checked, key=lambda name: checked[name].rmse)
    weights = dict(zip(checked, stacking_weights(list(checked.values()))))
    stacked = _stacked(checked, weights)
    if kind == "auto" and stacked.rmse >= _GAIN * checked[best].rmse:
        return _single(pairs, best, checked[best], seed)
    members = [
        Member(kind=name, model=kind_of(name).fit(pairs, seed), weight=weight)
        for name, weight in weights.items()
        if weight
    ]
    return _fitted(pairs, "ensemble", Ensemble(members), stacked)


def _stacked(checked: dict[str, Validation], weights: dict[str, float]) -> Validation:
    """Held-out predictions of the ensemble from those of its members."""
    kept = [(checked[name], weight) for name, weight in weights.items() if weight]
    first = kept[0][0]
    predicted = np.sum([weight * own.predicted for own, weight in kept], axis=0)
    logs = [weight * np.log(own.std) for own, weight in kept if own.std is not None]
    std = np.exp(np.sum(logs, axis=0))
    return Validation(predicted=predicted, measured=first.measured, std=std, folds=first.folds)


def _single(pairs: AccuracyPairs, kind: str, validation: Validation, seed: int) -> FittedPredictor:
    return _fitted(pairs, kind, kind_of(kind).fit(pairs, seed), validation)


def _fitted(
    pairs: AccuracyPairs, kind: str, model: Model, validation: Validation
) -> FittedPredictor:
    checked, scale = calibrated(validation)
    return FittedPredictor(kind=kind, pairs=pairs, model=model, scale=scale, validation=checked)


def load_predictor(path: Path | str, space: Space) -> AccuracyPredictor:
    """Read a predictor of any kind, or a published ``.pth`` of Once-for-All.

    Raises:
        FileFormatError: not a predictor, damaged, or of another space.
    """
    rules = {
        "path": of_kind(Path, str),
        "space": of_kind(Space),
    }
    path = Path(checked({"path": path, "space": space}, rules)["path"])
    if path.suffix in (".pth", ".pt"):
        return load_ofa(path, space)
    if _format_of(path) == "supernet.mlp_predictor":
        return MLPPredictor.load(path, space)
    return load_fitted(path, space)


def named_space(path: Path) -> str | None:
    """The shipped space that a predictor's file names; None where it names none of them."""
    own = _document(path).get("space")
    name = own.get("name") if isinstance(own, dict) else None
    return name if isinstance(name, str) and name in list_spaces() else None


def _format_of(path: Path) -> str:
    """What the document says it is; empty where it is none, which its reader then says."""
    found = _document(path).get("format")
    return found if isinstance(found, str) else ""


def _document(path: Path) -> dict[str, Any]:
    """A JSON file as it is; empty where it is none."""
    if path.suffix in (".pth", ".pt"):
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
