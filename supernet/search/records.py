"""What a saved search says of its predictor and its targets; it is read without either."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from supernet.errors import ConfigError
from supernet.latency import LatencyTable
from supernet.latency.words import runtime_words
from supernet.predict import AccuracyPredictor, FittedPredictor, MLPPredictor, Validation
from supernet.space import Operator, decode

__all__ = ["MeasuredRecord", "PredictorRecord", "TargetRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorRecord:
    """How well accuracies are predicted, as far as that is known."""

    kind: str = ""
    """Such as ``ridge``, ``gp`` or ``imported``."""
    folds: int = 0
    """Of the cross-validation; 0 where there was none."""
    kendall: float | None = None
    """Rank correlation on held-out subnets."""
    rmse: float | None = None
    """Root mean square error on held-out subnets, percentage points."""
    coverage: float | None = None
    """Share of the held-out subnets inside their 90 % interval."""
    measured: tuple[float, ...] = ()
    """Top-1 of the held-out subnets, percent."""
    predicted: tuple[float, ...] = ()
    """Predictions of the same subnets, percent."""
    labels: tuple[str, ...] = ()
    """The same subnets as text; none, or one each."""
    sizes: tuple[int, ...] = ()
    """Input sizes that an imported predictor knows; others it inter- or extrapolates."""
    source: str = ""
    """The file it came from, where it was imported."""

    def __post_init__(self) -> None:
        counts = {len(self.measured), len(self.predicted), len(self.labels or self.measured)}
        if len(counts) > 1:
            raise ConfigError(
                f"measured, predicted, labels: expected equally many, found {len(self.measured)}, "
                f"{len(self.predicted)} and {len(self.labels)}"
            )

    @classmethod
    def of_predictor(cls, predictor: AccuracyPredictor) -> "PredictorRecord":
        """The record of a predictor."""
        pairs = predictor.pairs if isinstance(predictor, FittedPredictor) else None
        validation, known = predictor.validation, {}
        if isinstance(predictor, MLPPredictor):
            known = {"sizes": predictor.sizes, "source": predictor.source.get("source", "")}
        if validation is not None and pairs is not None and len(pairs) == len(validation.measured):
            known["labels"] = tuple(str(subnet) for subnet in decode(predictor.space, pairs.genes))
        return cls.of(predictor.kind, validation, **known)

    @classmethod
    def of(cls, kind: str, validation: Validation | None = None, **known: Any) -> "PredictorRecord":
        """The record of a predictor of a kind, with what was found by cross-validation."""
        if validation is None:
            return cls(kind=kind, **known)
        return cls(
            kind=kind,
            folds=validation.folds,
            kendall=_finite(validation.kendall),
            rmse=_finite(validation.rmse),
            coverage=validation.coverage,
            measured=tuple(validation.measured.tolist()),
            predicted=tuple(validation.predicted.tolist()),
            **known,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRecord:
    """A finalist that was measured before the winner was named."""

    index: int
    """Among the scored subnets."""
    figures: Mapping[str, float]
    """What was measured, by the name of the figure."""
    within: bool
    """Whether the measured figures meet the limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecord:
    """What is known of a target, from its latency table."""

    name: str
    """As in the names of figures: ``latency@<name>``."""
    device: Mapping[str, str] = field(default_factory=dict)
    """Processor, runtime and version, operating system, date."""
    precision: str = ""
    threads: int = 1
    batch: int = 1
    statistic: str = ""
    """What of the measured times counts, such as the median."""
    mape: float | None = None
    """Mean error of held-out whole networks, percent."""
    kendall: float | None = None
    """Rank correlation on held-out whole networks."""
    measured_ms: tuple[float, ...] = ()
    """Held-out whole networks."""
    predicted_ms: tuple[float, ...] = ()
    """The same networks by the table."""
    operators_ms: Mapping[str, float] = field(default_factory=dict)
    """By key: the operators of the front, as the table prices them by themselves."""

    def __post_init__(self) -> None:
        if len(self.measured_ms) != len(self.predicted_ms):
            raise ConfigError(
                "measured_ms and predicted_ms: expected equally many, found "
                f"{len(self.measured_ms)} and {len(self.predicted_ms)}"
            )

    @classmethod
    def of(
        cls,
        name: str,
        table: LatencyTable,
        operators: Sequence[Operator] = (),
        space: str = "",
        *,
        whole: bool = True,
    ) -> "TargetRecord":
        """The record of a table.

        Args:
            name: of the target in this search.
            table: of the target.
            operators: to keep the times of.
            space: name of the space that they are of.
            whole: whether they are of whole networks; else of parts, such as backbones.
        """
        held_out = table.held_out
        known = held_out.networks > 0
        return cls(
            name=name,
            device={key: str(value) for key, value in table.device.items()},
            precision=table.precision,
            threads=table.threads,
            batch=table.batch,
            statistic=str(table.protocol.get("statistic", "")),
            mape=_finite(held_out.mape) if known else None,
            kendall=_finite(held_out.kendall) if known else None,
            measured_ms=held_out.measured_ms,
            predicted_ms=held_out.predicted_ms,
            operators_ms={
                operator.key: float(table.line_ms(operator, space, whole=whole))
                for operator in dict.fromkeys(operators)
            },
        )

    @property
    def runtime(self) -> str:
        """Runtime with its version, threads, precision and batch."""
        return runtime_words(
            self.device, threads=self.threads, precision=self.precision, batch=self.batch
        )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
