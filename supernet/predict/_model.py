"""What one kind of predictor has to offer; `Fitted` makes an accuracy predictor of it."""

from collections.abc import Mapping
from typing import Any, Protocol

from supernet.predict.contract import Additive, Values
from supernet.space import Genes

__all__ = ["Model"]


class Model(Protocol):
    """Fitted to pairs; a value from then on."""

    def mean(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``, of a canonical population."""
        ...

    def std(self, genes: Genes) -> Values:
        """Relative uncertainty, shape ``(N,)``; its scale is found on held-out pairs."""
        ...

    def additive(self) -> Additive | None:
        """Its additive part, where it has one."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Plain values from which, with the pairs, it is made again."""
        ...
