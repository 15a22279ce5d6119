"""How a finetuning goes follows from how long it is beside the training before it."""

from dataclasses import replace
from pathlib import Path

import pytest

from supernet.train import Recipe, load_recipe, scaled
from supernet.workflow.finetune import FinetuneRequest


def trained(epochs: float, init: str = "") -> Recipe:
    """A recipe with a highest rate of .3."""
    return replace(scaled(load_recipe("from_scratch"), epochs), init=init)


@pytest.mark.parametrize(
    ("epochs", "before", "init", "lr", "distill"),
    [
        (2.4, 10, "", 0.06, 0.5),
        (2.5, 10, "", 0.15, 0.0),
        (0.5, 0.5, "", 0.15, 0.0),
        (2.5, 10, "weights", 0.06, 0.5),
    ],
)
def test_a_long_one_after_random_weights_is_a_training(
    epochs: float, before: float, init: str, lr: float, distill: float
) -> None:
    """The largest subnet of a hardly trained supernet is no teacher."""
    recipe = FinetuneRequest(epochs=epochs).recipe(trained(before, init), Path("run"))
    (phase,) = recipe.phases
    assert phase.lr == pytest.approx(lr)
    assert phase.distill == distill


def test_what_was_asked_for_is_taken() -> None:
    for epochs in (1.0, 10.0):
        request = FinetuneRequest(epochs=epochs, lr=0.01, distill=0.25)
        (phase,) = request.recipe(trained(10), Path("run")).phases
        assert (phase.lr, phase.distill) == (0.01, 0.25)
