"""What a search is asked for, before anything is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from supernet.errors import ConfigError
from supernet.space import Body, Precision
from supernet.workflow.engines import DEFAULT_ENGINE, EngineRequest

__all__ = ["FINALISTS", "PREDICTOR", "RAY_TUNE", "SearchRequest"]

_STUDY = "supernet"

FINALISTS = 4
"""Measured where a predictor was learned from a hundred subnets: a little more work."""
PREDICTOR = "predictor"
"""The rung of a ladder that costs no measurement."""
RAY_TUNE = "ray-tune"
"""The engine that searches by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """Everything that decides what a search does and finds."""

    targets: tuple[str, ...] = ()
    """Names of targets or paths of tables; their latencies are objectives."""
    objectives: tuple[str, ...] = ()
    """More costs that shape the front: ``macs``, ``params``, ``file_size``, ``peak_memory``."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """The most that is allowed, by cost; ``latency@TARGET`` or, with one target, ``latency``."""
    limit_share: float = 0.0
    """A limit on the first latency as a share of the largest subnet's, where no limit is
    given; 0 for none. Raised to what the fastest subnet needs."""
    fix: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Allowed values by dimension, stage and kind, or kind (see `Domain.of`)."""
    features: tuple[int, ...] = ()
    """Strides of the maps of a backbone: latencies and all other costs are of its operators."""
    size: tuple[int, int] | None = None
    """Rows and columns of the backbone's images; the input size of each subnet when not given."""
    algorithm: str = ""
    """Name in `supernet.search.ALGORITHMS`; the one that suits when empty."""
    measure: bool = False
    """Whether every accuracy is measured, on the hold-out images, in place of predicted."""
    ladder: tuple[str, ...] = ()
    """Rungs of such measurements, the cheapest first: ``predictor``, a number of hold-out
    images, ``all``, ``finetune:EPOCHS``."""
    start: Path | None = None
    """A subnet to begin with, its ``subnet.json``: scored first, and what ``netadapt`` shrinks."""
    storage: str = ""
    """Where a study of Optuna is kept: a URL, or ``journal:FILE``."""
    study: str = _STUDY
    """Name of that study."""
    budget: int = 0
    """Subnets scored, at most; of a ladder, whole measurements or as much work. 0 for what
    the algorithm is made for, or 200 measurements."""
    seconds: float = np.inf
    """Wall time of the search itself, at most."""
    predictor: Path | None = None
    """A file of an accuracy predictor; else that of the run, else one is learned."""
    kind: str = "gp"
    """Kind of predictor that is learned."""
    pairs: int = 100
    """Subnets whose accuracy a predictor is learned from."""
    rounds: int = 2
    """Times that the most promising subnets are measured and learned from before the last
    search (as in DyNAS-T's LINAS, arXiv:2202.12954)."""
    candidates: int = 16
    """Subnets measured in each of these rounds."""
    precision: Precision = "fp32"
    """Of the networks: ``int8`` for latencies and accuracies of quantised files."""
    images: int = 0
    """Hold-out images of each measurement that is no rung of `ladder`; 0 for all."""
    workers: int = 1
    """Measurements of accuracies at the same time."""
    engine: str = DEFAULT_ENGINE
    """What measures them (`supernet.workflow.engines.ENGINES`); or `RAY_TUNE`."""
    ray_address: str = ""
    """Of the Ray cluster that is joined; empty for ``RAY_ADDRESS``, or one that starts here."""
    confirm: int | None = None
    """Finalists that are measured before the winner is named; when not given `FINALISTS` where
    accuracies are predicted from what is measured for it, else none."""
    certify: bool = False
    """Prove thoroughly how good an answer can be at best; fail where nothing can be proven."""
    fresh_table: bool = False
    """Measure this machine again even if it is known."""
    name: str = ""
    """Of the folder of the result; made of the targets when empty."""
    seed: int = 0
    """Of every random choice."""
    device: str = "cpu"
    """Where accuracies are measured."""

    def __post_init__(self) -> None:
        problems = [
            f"{name}: must be {least} or more, found {getattr(self, name)}"
            for name, least in _LEAST.items()
            if (getattr(self, name) or 0) < least
        ]
        if len(set(self.targets)) < len(self.targets):
            problems.append(f"targets: one is given twice: {', '.join(self.targets)}")
        for name, limit in self.limits.items():
            if not 0 < limit < np.inf:
                problems.append(f"limits: {name}: must be above 0 and finite, found {limit:g}")
        if not 0 <= self.limit_share <= 1:
            problems.append(f"limit_share: must be from 0 to 1, found {self.limit_share}")
        problems += self._wrong_for_int8() if self.precision == "int8" else []
        problems += self._wrong_for_measuring() if self.measures else []
        if self.engine == RAY_TUNE:
            problems += self._wrong_for_tune()
        if "top1" in self.objectives:
            problems.append("objectives: top1 always is one; name costs beside it")
        if self.study != _STUDY and not self.storage:
            problems.append(f"study: {self.study!r} is the name of one in a storage; give storage")
        if self.name and not self.name.replace("_", "").replace("-", "").isalnum():
            problems.append(f"name: letters, digits, '_' and '-' only, found {self.name!r}")
        if problems:
            raise ConfigError(problems)
        _ = self.body, self.measuring  # they refuse what is none

    @property
    def body(self) -> Body:
        """Which operators costs count."""
        return Body(features=self.features, size=self.size)

    @property
    def measures(self) -> bool:
        """Whether accuracies are measured."""
        return self.measure or bool(self.ladder)

    @property
    def measuring(self) -> EngineRequest:
        """What measures single accuracies, and where."""
        return EngineRequest(
            device=self.device,
            workers=self.workers,
            engine="ray" if self.engine == RAY_TUNE else self.engine,
            ray_address=self.ray_address,
        )

    def _wrong_for_measuring(self) -> list[str]:
        found = []
        if self.certify:
            found.append("certify: of a measured accuracy nothing can be proven")
        if self.predictor and PREDICTOR not in self.ladder:
            found.append(
                "predictor: what is measured is not asked of it; leave out --measure, or make it "
                "the first rung: --ladder predictor,500,all"
                if not self.ladder
                else "predictor: no rung of the ladder is the predictor"
            )
        if self.images and self.ladder and PREDICTOR not in self.ladder:
            found.append(
                "images: each rung of the ladder names its own; leave out --images, or write "
                f"{self.images} as the last rung"
            )
        return found

    def _wrong_for_int8(self) -> list[str]:
        found = []
        if self.certify:
            found.append("certify: of accuracies in int8 nothing can be proven")
        if any(step.startswith("finetune") for step in self.ladder):
            found.append("ladder: subnets are not finetuned for int8; leave out finetune")
        return found

    def _wrong_for_tune(self) -> list[str]:
        found = []
        if not self.measures:
            found.append(f"engine: {RAY_TUNE} measures every accuracy; add --measure or --ladder")
        if self.algorithm not in ("", RAY_TUNE):
            found.append(
                f"algorithm: {RAY_TUNE} has its own, ASHA and OptunaSearch; leave out "
                f"{self.algorithm}, or take the engine ray"
            )
        if self.storage:
            found.append(f"storage: the study of {RAY_TUNE} is kept by Ray; leave it out")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as kept with a result."""
        plain = asdict(self)
        plain["predictor"] = str(self.predictor) if self.predictor else None
        plain["start"] = str(self.start) if self.start else None
        if not self.features:  # as requests were before there were any
            del plain["features"]
        if self.size is None:  # likewise
            del plain["size"]
        plain["seconds"] = self.seconds if np.isfinite(self.seconds) else None
        return plain


_LEAST = {
    "budget": 0,
    "pairs": 10,
    "rounds": 0,
    "candidates": 1,
    "images": 0,
    "workers": 1,
    "confirm": 0,
}
