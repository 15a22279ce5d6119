"""What a search came to: its saved result, and what that was based on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.latency import LatencyTable, how_to_measure
from supernet.predict import AccuracyPredictor
from supernet.runs import Run
from supernet.search import Climb, SearchResult
from supernet.space import WHOLE, Body, Space, Subnet, SubnetFile, operators_of
from supernet.workflow.confirm import Confirmed

__all__ = ["SearchOutcome"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SearchOutcome:
    """A saved result, and what it was based on."""

    folder: Path
    """Of the saved result."""
    result: SearchResult
    chosen: int
    """Index of the best subnet in the result."""
    tables: Mapping[str, LatencyTable]
    """By target."""
    body: Body = WHOLE
    """Which operators costs count."""
    predictor: AccuracyPredictor | None
    """None where accuracies were measured."""
    algorithm: str
    """Its name."""
    confirmed: tuple[Confirmed, ...] = ()
    """Finalists that were measured, the winner first."""
    climbs: tuple[Climb, ...] = ()
    """The rungs of a search that climbed a ladder."""
    run: Run | None = None
    report: Path | None = None
    """The page of the run, or of all results beside this one."""

    @property
    def space(self) -> Space:
        """That was searched."""
        return self.result.problem.space

    @property
    def table(self) -> LatencyTable:
        """Of the first target."""
        return next(iter(self.tables.values()))

    @property
    def subnet(self) -> Subnet:
        """The best one."""
        return self.result.subnet(self.chosen)

    @property
    def file(self) -> Path:
        """The ``subnet.json`` of the best one."""
        return self.folder / "subnet.json"

    @property
    def estimated(self) -> list[str]:
        """Of each table that measured no such sizes as a backbone's operators have, how to."""
        body = self.body
        found: list[str] = []
        if body.size is None:
            return found
        for target, table in self.tables.items():
            listed = operators_of(self.space, body)
            beyond = sum(map(table.is_beyond, listed))
            if beyond:
                found.append(
                    f"{target} measured no such sizes as {beyond} of {len(listed)} operators of "
                    f"{body} have; {how_to_measure(self.space, body)}"
                )
        return found

    @property
    def predicted(self) -> Mapping[str, Any]:
        """What is predicted of the best one, as in ``subnet.json``."""
        return SubnetFile.load(self.file).predicted

    @property
    def measured(self) -> Mapping[str, Any]:
        """What was measured of the best one, as in ``subnet.json``."""
        return SubnetFile.load(self.file).measured
