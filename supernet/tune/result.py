"""What a study found, as a value that is saved and loaded."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from supernet.files import fill, read_document, write_document
from supernet.tune.contract import TrialRecord
from supernet.tune.loop import best_of

__all__ = ["Comparison", "Confirmed", "StudyResult", "load_result", "save_result"]

_KIND, _VERSION, _FILE = "study_result", 1, "study.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A training of the best trial's recipe and space, and one of those it is held against."""

    trial: int
    """Number of the trial that was the best."""
    seed: int
    """Of both: of the weights, the order of the images, and which are held out."""
    best: float
    """Top-1 on the held-out images, percent."""
    baseline: float
    """Of the recipe and the space as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The best trial against the recipe as it is."""

    gain: float
    """Points of top-1."""
    error: float
    """Its standard error: of the images, and where there are several seeds of these."""

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` by more than two standard errors, or ``not told apart``."""
        if abs(self.gain) <= 2 * self.error:
            return "not told apart"
        return "better" if self.gain > 0 else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """All trials of a study, and what follows from them."""

    name: str
    folder: str
    """With the trials, the best recipe and space, and the page."""
    data: str
    subnet: str
    """Whose accuracy was maximised."""
    epochs: float
    """Of every trial that ran to its end."""
    holdout_images: int
    sampler: str
    pruner: str
    storage: str
    trials: tuple[TrialRecord, ...]
    importances: Mapping[str, float] = field(default_factory=dict)
    confirmed: tuple[Confirmed, ...] = ()
    remarks: tuple[str, ...] = ()
    engine: str = "processes"

    @property
    def best(self) -> TrialRecord | None:
        """The complete trial of the highest top-1."""
        return best_of(self.trials)

    @property
    def baseline(self) -> TrialRecord | None:
        """The trial of the recipe and the space as they are, if it ended well."""
        return next((t for t in self.trials if t.baseline and t.value is not None), None)

    @property
    def searched(self) -> Comparison | None:
        """Best against baseline as the study saw them; chosen by it, which flatters the best."""
        best, baseline = self.best, self.baseline
        if best is None or best.value is None or baseline is None or baseline.value is None:
            return None
        error = _binomial([best.value, baseline.value], self.holdout_images)
        return Comparison(gain=best.value - baseline.value, error=error)

    @property
    def fresh(self) -> Comparison | None:
        """Best against baseline on seeds that the study had not seen."""
        own = [c for c in self.confirmed if self.best and c.trial == self.best.number]
        if not own:
            return None
        gains = [c.best - c.baseline for c in own]
        values = [statistics.fmean(c.best for c in own), statistics.fmean(c.baseline for c in own)]
        error = _binomial(values, self.holdout_images * len(own))
        if len(own) > 1:
            error = max(error, statistics.stdev(gains) / math.sqrt(len(own)))
        return Comparison(gain=statistics.fmean(gains), error=error)

    def counts(self) -> dict[str, int]:
        """How many trials ended in which way."""
        states = [trial.state for trial in self.trials]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    def as_json(self) -> dict[str, Any]:
        """Plain values, with what follows from them."""
        found = asdict(self)
        for name in ("searched", "fresh"):
            comparison: Comparison | None = getattr(self, name)
            found[name] = (
                {**asdict(comparison), "verdict": comparison.verdict} if comparison else None
            )
        found["best"] = self.best.number if self.best else None
        return found

    def __repr__(self) -> str:
        words = [f"StudyResult: {self.name!r}, {len(self.trials)} trials"]
        if self.best is not None:
            words.append(f"best {self.best.value:.2f} % (trial {self.best.number})")
        if self.fresh is not None:
            words.append(
                f"on fresh seeds {self.fresh.gain:+.2f} ± {self.fresh.error:.2f} points: "
                f"{self.fresh.verdict}"
            )
        return ", ".join(words)


def save_result(result: StudyResult) -> Path:
    """Write ``study.json`` into the folder of the study; its path."""
    path = Path(result.folder) / _FILE
    write_document(path, _KIND, _VERSION, asdict(result), lines="trials")
    return path


def load_result(folder: Path) -> StudyResult:
    """The result in the folder of a study.

    Raises:
        FileFormatError: there is none, or it is damaged.
        ConfigError: values that break rules.
    """
    return fill(StudyResult, read_document(folder / _FILE, _KIND, _VERSION))


def _binomial(percents: Sequence[float], images: int) -> float:
    """Standard error of a difference of two accuracies on so many images each, in points."""
    return 100 * math.sqrt(sum(p / 100 * (1 - p / 100) for p in percents) / max(1, images))
