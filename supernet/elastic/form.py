"""What is active in an elastic module."""

from typing import Any

from torch import nn

__all__ = ["Elastic"]


class Elastic(nn.Module):
    """A module whose active form is a short list of plain values.

    A list, because setting an attribute of a torch module takes as long as a whole list
    of these, and because forms that were active once can be put back as they were
    (`supernet.models.Supernet.activate`).
    """

    rounds = False
    """Whether a layer with weights computes on what 8-bit integers hold (`rounding`)."""

    def __init__(self, *form: Any) -> None:
        super().__init__()
        self.form = list(form)
