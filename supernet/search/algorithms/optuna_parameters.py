"""Subnets as parameters of a study of Optuna, and back."""

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from supernet.space import Domain, Genes
from supernet.space.layout import layout_of
from supernet.studies import need_optuna

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

__all__ = ["Parameters"]


class Parameters:
    """A gene is a parameter by the name of its dimension.

    It is categorical, and there only where it has an effect; in a flat space it is a number,
    and always there.

    Args:
        domain: of the subnets.
        flat: for samplers that take numbers that are always there.
    """

    def __init__(self, domain: Domain, *, flat: bool = False) -> None:
        self._domain, self._flat, self._optuna = domain, flat, need_optuna("a sampler of Optuna")
        layout = layout_of(domain.space)
        self._conditions: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for rows in layout.conditions:
            for column, deciding, needed in rows.tolist():
                self._conditions[column].append((deciding, needed))
        self._order = sorted(domain.free.tolist(), key=self._rank)
        self._genes_of = layout.genes

    def suggested(self, trial: "Trial") -> Genes:
        """The subnet of a trial, canonical, shape ``(1, G)``."""
        row = self._domain.smallest()[0]
        for column in self._order:
            gene, allowed = self._genes_of[column], self._domain.allowed[column]
            if self._flat:
                row[column] = allowed[trial.suggest_int(gene.name, 0, len(allowed) - 1)]
            elif self._there(row, column):
                choices = [gene.choices[i] for i in allowed]
                row[column] = gene.choices.index(trial.suggest_categorical(gene.name, choices))
        return self._domain.canonical(row[None])

    def of(self, row: Genes) -> tuple[dict[str, Any], "dict[str, BaseDistribution]"]:
        """The parameters of a subnet ``(G,)`` by name, and what they are drawn from."""
        values: dict[str, Any] = {}
        spread: dict[str, BaseDistribution] = {}
        for column in self._order:
            if self._there(row, column):
                gene, allowed = self._genes_of[column], self._domain.allowed[column]
                spread[gene.name] = self._distribution(column)
                if not self._flat:
                    values[gene.name] = gene.choices[row[column]]
                else:  # one without an effect may be anything
                    values[gene.name] = allowed.index(row[column]) if row[column] in allowed else 0
        return values, spread

    def space(self) -> dict[str, list[int]]:
        """Every number of every parameter of a flat space."""
        return {
            self._genes_of[column].name: list(range(len(self._domain.allowed[column])))
            for column in self._order
        }

    def row(self, values: Mapping[str, Any]) -> Genes:
        """The subnet of parameters, canonical, shape ``(1, G)``."""
        return self.suggested(self._optuna.trial.FixedTrial(dict(values)))

    def _there(self, row: Genes, column: int) -> bool:
        """Whether a gene is a parameter, by those before it."""
        needs = self._conditions[column]
        return self._flat or all(row[deciding] >= needed for deciding, needed in needs)

    def _distribution(self, column: int) -> "BaseDistribution":
        allowed, gene = self._domain.allowed[column], self._genes_of[column]
        distributions = self._optuna.distributions
        found: BaseDistribution = (
            distributions.IntDistribution(0, len(allowed) - 1)
            if self._flat
            else distributions.CategoricalDistribution([gene.choices[i] for i in allowed])
        )
        return found

    def _rank(self, column: int) -> int:
        """A gene comes after those that decide whether it has an effect."""
        deciding = self._conditions[column]
        return 1 + max((self._rank(other) for other, _ in deciding), default=0)
