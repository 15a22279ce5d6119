"""Genes of a space as parameters: a study that chooses single networks."""

from collections import defaultdict
from collections.abc import Mapping

from supernet.space import Space, canonical, decode, largest
from supernet.space.layout import layout_of
from supernet.tune.spec import Parameter, Value
from supernet.workflow.quality import standalone_space

__all__ = ["Genes", "gene_parameters"]

_PREFIX = "genes."


def gene_parameters(space: Space) -> dict[str, Parameter]:
    """A category for each dimension with something to choose, there where it has an effect."""
    layout = layout_of(space)
    conditions: dict[int, dict[str, list[Value]]] = defaultdict(dict)
    for rows in layout.conditions:
        for column, deciding, needed in rows.tolist():
            other = layout.genes[deciding]
            conditions[column][_PREFIX + other.name] = list(other.choices[needed:])
    return {
        _PREFIX + gene.name: Parameter(choices=tuple(gene.choices), when=dict(conditions[column]))
        for column, gene in enumerate(layout.genes)
    }


class Genes:
    """Makes the network that values of genes stand for.

    Args:
        space: that networks are chosen from.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._genes = layout_of(space).genes
        self.columns = {_PREFIX + gene.name: i for i, gene in enumerate(self._genes)}
        """By the names of their parameters."""

    def network(self, values: Mapping[str, Value]) -> Space:
        """The space whose only subnet these values choose; what is not given is the largest."""
        row = largest(self._space)
        for name, column in self.columns.items():
            if name in values:
                row[0, column] = self._genes[column].choices.index(values[name])
        row = canonical(self._space, row)
        return standalone_space(
            self._space, decode(self._space, row)[0], dropout=self._space.head.dropout
        )
