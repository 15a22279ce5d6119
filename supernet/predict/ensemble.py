"""An ensemble: the weighted mean of kinds, weights chosen on held-out pairs (stacking)."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from supernet.errors import ConfigError
from supernet.predict._kinds import KINDS
from supernet.predict._model import Model
from supernet.predict.contract import AccuracyPairs, Additive, Validation, Values
from supernet.space import Genes

__all__ = ["Ensemble", "Member", "load_ensemble", "stacking_weights"]

_PARTS = 10  # weights are multiples of 1 / this


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Member:
    """One model of an ensemble."""

    kind: str
    """Its name in the registry."""
    model: Model
    """Fitted to all pairs."""
    weight: float
    """Share in the mean; all of an ensemble sum to 1."""


class Ensemble:
    """A weighted mean of models of different kinds."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)

    def mean(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``."""
        found = np.zeros(len(genes))
        for member in self.members:
            found += member.weight * member.model.mean(genes)
        return found

    def std(self, genes: Genes) -> Values:
        """Geometric mean of the members' uncertainties, as their scales differ."""
        found = np.zeros(len(genes))
        for member in self.members:
            found += member.weight * np.log(np.maximum(member.model.std(genes), 1e-9))
        return np.asarray(np.exp(found), dtype=np.float64)

    def additive(self) -> Additive | None:
        """The weighted sum of those of its members; None where one that counts has none."""
        counted = [member for member in self.members if member.weight > 0]
        parts = [(member.weight, member.model.additive()) for member in counted]
        known = [(weight, part) for weight, part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return Additive(
            tables=tuple((c, weight * t) for weight, part in known for c, t in part.tables),
            offset=sum(weight * part.offset for weight, part in known),
            rest_low=sum(weight * part.rest_low for weight, part in known),
            rest_high=sum(weight * part.rest_high for weight, part in known),
        )

    def state(self) -> Mapping[str, Any]:
        """Kind, weight and state of each member."""
        return {
            "members": [
                {"kind": m.kind, "weight": m.weight, "state": m.model.state()} for m in self.members
            ]
        }


def stacking_weights(validations: Sequence[Validation]) -> tuple[float, ...]:
    """Shares of the smallest held-out error, multiples of a tenth that sum to 1.

    So few possible weights cannot fit the held-out pairs too closely.
    """
    measured = validations[0].measured
    errors = np.stack([validation.predicted - measured for validation in validations])
    gram = errors @ errors.T
    shares = np.array(
        [
            parts
            for parts in itertools.product(range(_PARTS + 1), repeat=len(validations))
            if sum(parts) == _PARTS
        ]
    )
    costs = np.einsum("wi,ij,wj->w", shares, gram, shares)
    best: list[int] = shares[int(costs.argmin())].tolist()
    return tuple(share / _PARTS for share in best)


def load_ensemble(pairs: AccuracyPairs, state: Mapping[str, Any]) -> Ensemble:
    """An ensemble from its state."""
    entries = state.get("members")
    if not isinstance(entries, list | tuple) or not entries:
        raise ConfigError("state.members: expected a list of at least one")
    members = []
    for number, entry in enumerate(entries):
        where = f"state.members[{number}]"
        if not isinstance(entry, Mapping) or entry.get("kind") not in KINDS:
            raise ConfigError(f"{where}.kind: must be one of {', '.join(KINDS)}")
        weight, own = entry.get("weight"), entry.get("state")
        if not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise ConfigError(f"{where}.weight: must be from 0 to 1, found {weight!r}")
        if not isinstance(own, Mapping):
            raise ConfigError(f"{where}.state: expected a mapping")
        model = KINDS[entry["kind"]].load(pairs, own)
        members.append(Member(kind=entry["kind"], model=model, weight=float(weight)))
    if abs(sum(member.weight for member in members) - 1) > 1e-6:
        raise ConfigError("state.members: their weights must sum to 1")
    return Ensemble(members)
