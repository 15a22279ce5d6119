"""Ladders as users write them, and the measurements of a run that they stand for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from supernet.errors import ConfigError
from supernet.evaluate import CALIBRATION_IMAGES, Engine
from supernet.predict import AccuracyPredictor
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.search import Accuracy, Problem, Rung, algorithm
from supernet.space import Precision
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.engines import EngineRequest, open_engine
from supernet.workflow.request import PREDICTOR, RAY_TUNE, SearchRequest

__all__ = ["Step", "ladder_of", "measured_problem"]

_ALL, _FINETUNE = "all", "finetune:"
_DEFAULT = 9, 3, 1  # parts of the hold-out images, for an algorithm that climbs
_TRAINED = 3  # image passes of one training image: forward, and backward twice as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rung as a user writes it."""

    text: str
    """``predictor``, a number of hold-out images, ``all``, or ``finetune:EPOCHS``."""
    images: int = 0
    """Hold-out images, at most; 0 for all."""
    epochs: float = 0.0
    """Of finetuning before it is measured."""

    @classmethod
    def of(cls, text: str) -> "Step":
        """The step of a text.

        Raises:
            ConfigError: it is none.
        """
        if text in (PREDICTOR, _ALL):
            return cls(text=text)
        number = text.removeprefix(_FINETUNE)
        try:
            value = float(number) if number != text else int(number)
        except ValueError:
            value = 0
        if not 0 < value < 1e6:
            raise ConfigError(
                f"ladder: expected predictor, a number of images, all or finetune:EPOCHS, found "
                f"{text[:60]!r}",
                hint="such as predictor,500,all,finetune:1",
            )
        if number != text:
            return cls(text=text, epochs=value)
        return cls(text=text, images=int(value))

    @property
    def predicts(self) -> bool:
        """Whether it measures nothing."""
        return self.text == PREDICTOR

    @property
    def calibration_images(self) -> int:
        """For batch norm statistics, at most: no more than are looked at."""
        return min(self.images or CALIBRATION_IMAGES, CALIBRATION_IMAGES)

    def accuracies(self, run: Run, engine: Engine, precision: Precision = "fp32") -> Accuracies:
        """What measures at this rung."""
        return Accuracies(
            run,
            engine,
            images=self.images,
            calibration_images=self.calibration_images,
            finetune_epochs=self.epochs,
            precision=precision,
        )

    def passes(self, run: Run) -> float:
        """Images that go through a network, those of training three times."""
        config = run.config()
        holdout, train = config.holdout_images, config.images
        if not (holdout and train):
            dataset = run.dataset()
            holdout, train = len(dataset.holdout), len(dataset.train)
        if self.predicts:
            return 0.0
        images = min(self.images or holdout, holdout)
        return images + min(self.calibration_images, train) + _TRAINED * self.epochs * train


def ladder_of(request: SearchRequest, run: Run) -> tuple[Step, ...]:
    """The rungs of a search that measures, the whole measurement last.

    Where none are written, an algorithm that climbs has a ninth, a third and all of the
    hold-out images, any other measures on all of them; of so many as the request names.

    Raises:
        ConfigError: a rung that is none, or costs no more than the one before; several for an
            algorithm that measures all alike.
    """
    climbs = request.engine == RAY_TUNE or algorithm(request.algorithm).climbs
    if request.ladder:
        steps = tuple(map(Step.of, request.ladder))
    elif climbs:
        holdout = run.config().holdout_images or len(run.dataset().holdout)
        most = min(request.images or holdout, holdout)
        parts = [str(-(-most // part)) for part in _DEFAULT[:-1]]
        steps = tuple(map(Step.of, (*parts, _ALL if most == holdout else str(most))))
    else:
        steps = (Step.of(str(request.images) if request.images else _ALL),)
    if steps[-1].predicts:
        raise ConfigError("ladder: ends with a prediction; its last rung must be measured")
    if len(steps) > 1 and not climbs:
        raise ConfigError(
            f"ladder: {request.algorithm} measures all subnets alike, and takes one rung",
            hint="--algorithm asha, hyperband or bohb climbs a ladder",
        )
    if any(step.epochs for step in steps) and not run.config().recipe:
        raise ConfigError(
            f"ladder: {run.folder} was imported without a recipe, so nothing says how to finetune",
            hint="train a supernet from it first: supernet train --init RUN",
        )
    passes = [step.passes(run) for step in steps]
    for number, (before, after) in enumerate(pairwise(passes)):
        if after <= before:
            raise ConfigError(
                f"ladder: {steps[number + 1].text} comes after {steps[number].text} and costs no "
                f"more: {after:,.0f} images go through the network, before {before:,.0f}",
                hint="write the cheapest rung first",
            )
    return steps


@contextmanager
def measured_problem(
    run: Run,
    request: SearchRequest,
    problem: Problem,
    steps: Sequence[Step],
    predictor: AccuracyPredictor | None,
    progress: Progress = silent,
) -> Iterator[Problem]:
    """`problem` with measured accuracies; what measures ends with the block.

    Args:
        run: a trained one, with images.
        request: where to measure, and by how many workers.
        problem: its accuracy is replaced.
        steps: the rungs.
        predictor: for the rung that it is.
        progress: told what the engine says of itself.
    """
    if request.engine == RAY_TUNE:  # its trials are in folders of their own
        run = Run(run.folder.resolve())
    engine = _opened(run, request, progress)
    try:
        *lower, whole = steps
        accuracies = partial(Step.accuracies, run=run, engine=engine, precision=request.precision)
        passes = whole.passes(run)
        yield replace(
            problem,
            objectives=(
                Accuracy(function=accuracies(whole).top1, measured=True),
                *problem.objectives[1:],
            ),
            ladder=tuple(_rung(run, step, accuracies, passes, predictor) for step in lower),
        )
    finally:
        engine.close()


def _opened(run: Run, request: SearchRequest, progress: Progress) -> Engine:
    """What measures; each trial of Ray Tune does where it runs, by a copy of what is made here."""
    if request.engine == RAY_TUNE:
        return open_engine(run, EngineRequest(device=request.device))
    return open_engine(run, request.measuring, progress)


def _rung(
    run: Run,
    step: Step,
    accuracies: Callable[[Step], Accuracies],
    whole: float,
    predictor: AccuracyPredictor | None,
) -> Rung:
    name = f"top1@{step.text}"
    if step.predicts:
        assert predictor is not None
        return Rung(name=name, function=predictor.mean, share=0.0, measured=False)
    share = step.passes(run) / whole
    return Rung(name=name, function=accuracies(step).top1, share=share)
