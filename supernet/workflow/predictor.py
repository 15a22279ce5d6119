"""Fit accuracy predictors to files of measured subnets, and ask them."""

from dataclasses import dataclass
from pathlib import Path

from supernet.errors import ConfigError
from supernet.predict import (
    FittedPredictor,
    Predicted,
    Validation,
    fit_predictor,
    load_predictor,
)
from supernet.predict.files import read_genes, read_pairs, write_predictions
from supernet.predict.registry import named_space
from supernet.progress import Progress, silent
from supernet.runs import Run, find_run
from supernet.space import Space, load_space
from supernet.workflow.collect import check_predictor
from supernet.workflow.engines import EngineRequest

__all__ = ["PredictedFile", "check_run", "fit_file", "predict_file", "space_of"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PredictedFile:
    """Predictions that were written to a CSV."""

    predicted: Predicted
    """In the order of the file."""
    kind: str
    """Of the predictor."""
    output: Path
    """The CSV."""


def space_of(name: str | None, run: Path | None, predictor: Path | None = None) -> Space:
    """The space that was named, that of a run, or the shipped one that a predictor names.

    Raises:
        ConfigError: both were given, or none says which space it is.
    """
    if name is not None and run is not None:
        raise ConfigError("give --space NAME or --run FOLDER, not both")
    if run is not None:
        return find_run(run).space()
    if name is None and predictor is not None:
        name = named_space(predictor)
    if name is None:
        raise ConfigError("give --space NAME or --run FOLDER: the space of the subnets")
    return load_space(name)


def fit_file(
    path: Path, space: Space, *, kind: str = "auto", seed: int = 0, output: Path
) -> FittedPredictor:
    """Fit a predictor to the pairs of a file, and write it.

    Args:
        path: NPZ or CSV with the choices of the subnets and their ``top1``.
        space: of the subnets.
        kind: as for `fit_predictor`.
        seed: of everything random.
        output: the ``.json`` to write.

    Raises:
        FileFormatError: a file that holds no such pairs.
        ConfigError: pairs that the space has not, an unknown kind, another suffix.
    """
    if output.suffix != ".json":
        raise ConfigError(f"--output: must end in .json, found {output.name[:60]!r}")
    predictor = fit_predictor(read_pairs(path, space), kind, seed=seed)
    predictor.save(output)
    return predictor


def predict_file(predictor: Path, path: Path, space: Space, *, output: Path) -> PredictedFile:
    """Predict the subnets of a file, and write its columns with the predictions.

    Args:
        predictor: ours, or a published ``.pth`` of Once-for-All.
        path: NPZ or CSV with the choices of the subnets.
        space: of both.
        output: the ``.csv`` to write.

    Raises:
        FileFormatError: a predictor of another space, or files that are damaged.
        ConfigError: a subnet that the space has not, or another suffix.
    """
    if output.suffix != ".csv":
        raise ConfigError(f"--output: must end in .csv, found {output.name[:60]!r}")
    known = load_predictor(predictor, space)
    predicted = known.predict(read_genes(path, space))
    write_predictions(output, path, predicted)
    return PredictedFile(predicted=predicted, kind=known.kind, output=output)


def check_run(
    run: Run,
    predictor: Path | None,
    count: int,
    *,
    images: int | None = None,
    engine: EngineRequest | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[str, Validation]:
    """Measure fresh subnets of a run and compare; the kind of the predictor, its error.

    Args:
        run: a trained one.
        predictor: the file to check; that of the run when not given.
        count: of subnets that the run has not measured yet.
        images: of the hold-out; all when not given.
        engine: what measures; this process when not given.
        seed: of the subnets.
        progress: told about every subnet.

    Raises:
        ConfigError: the run has no predictor, or no images.
    """
    loaded = load_predictor(predictor or run.known_predictor(), run.space())
    checked = check_predictor(
        run,
        loaded.mean,
        count,
        images=images,
        engine=engine,
        seed=seed,
        progress=progress,
    )
    std = loaded.predict(checked.genes).std
    validation = Validation(
        predicted=checked.predicted, measured=checked.measured, std=std, folds=1
    )
    return loaded.kind, validation
