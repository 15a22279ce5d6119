"""Who proposes and who executes: two contracts, and what goes between them."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from supernet.space import Space
from supernet.train import Recipe
from supernet.tune.spec import Value

__all__ = [
    "Executor",
    "Outcome",
    "Proposer",
    "Report",
    "Reporter",
    "State",
    "Task",
    "Train",
    "Trial",
    "TrialRecord",
]

State: TypeAlias = Literal["complete", "pruned", "failed", "lost", "running"]
"""How a trial stands; ``lost`` is one whose process was killed, which is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a proposer asks for."""

    number: int
    """From 0, in the study."""
    values: Mapping[str, Value]
    """By parameter."""
    folder: int
    """Number of the trial whose folder is gone on with; its own where nothing was lost."""
    kept: bool = False
    """Whether it is never given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One training."""

    number: int
    """By which reports and the outcome are told apart."""
    recipe: Recipe
    space: Space
    seed: int
    folder: Path
    """The run; gone on with where it was begun."""
    kept: bool = False
    """Whether it is never given up, also by an executor that gives up by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a training says after an epoch."""

    number: int
    epoch: int
    """Whole epochs done, from 1."""
    value: float
    """Top-1 on the held-out images, percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a training ended."""

    number: int
    state: State | Literal["stopped"]
    """``stopped`` where the study itself was: such a trial is tried again, as a lost one is."""
    value: float = math.nan
    """Of the last epoch."""
    reason: str = ""
    """Why it failed."""
    seconds: float = 0.0
    peak_mib: float = 0.0
    """Most memory that its process has held."""
    gpu_mib: float = 0.0
    """Most memory of a GPU that its process has held."""


Reporter: TypeAlias = Callable[[Report], bool]
"""Takes a report; says whether the training goes on."""

Train: TypeAlias = Callable[[Task, Reporter], float]
"""Trains a task and returns its value; raises `supernet.tune.trial.PrunedError` when a report
was answered with no."""


class Executor(Protocol):
    """Runs trainings. Only the loop calls it.

    It decides nothing, unless it is a scheduler as Ray Tune is, which gives trainings up by itself:
    such a one comes back as pruned.
    """

    def run(self, following: Callable[[], Task | None], report: Reporter) -> Iterator[Outcome]:
        """Train what `following` gives, each as soon as there is room for it.

        A training that raises comes back as failed, one whose process was killed as lost. What
        would fail every training, such as a full disk, is raised.

        Args:
            following: the next task; None where there is none for now. Asked again after each
                outcome.
            report: called here, in this process, with what trainings say.
        """

    def close(self) -> None:
        """End everything that was started."""


class Proposer(Protocol):
    """Chooses what is tried and what is given up. Only the loop calls it."""

    def count(self) -> int:
        """Trials that count: all but the lost ones."""

    def ask(self) -> Trial | None:
        """The next trial; None where nothing new is proposed."""

    def report(self, report: Report) -> bool:
        """Take in an epoch; whether the trial goes on."""

    def tell(self, outcome: Outcome) -> None:
        """Take in how a trial ended."""

    def beat(self) -> None:
        """Say that what was asked for is still at work."""

    def records(self) -> list["TrialRecord"]:
        """All trials, in the order of their numbers."""

    def importances(self) -> dict[str, float]:
        """Share of each parameter in how good trials are; empty where nobody can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A trial as it is kept."""

    number: int
    state: State
    values: Mapping[str, Value]
    value: float | None = None
    """Top-1 of the last epoch; None where it did not end well."""
    epochs: tuple[int, ...] = ()
    """After which its top-1 was reported."""
    curve: tuple[float, ...] = ()
    """The top-1 after each of them."""
    reason: str = ""
    seconds: float = 0.0
    baseline: bool = False
    """Whether it is the recipe and the space as they are."""
    folder: int = 0
    retried_as: int | None = None
    """Of a lost trial: the number of the next try."""
