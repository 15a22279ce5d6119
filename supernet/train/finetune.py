"""Training one plain network a little further, such as one taken from a supernet."""

from dataclasses import replace

import torch
from torch import nn

from supernet.data import Dataset
from supernet.elastic.convolve import fast_convolutions
from supernet.errors import TrainingError
from supernet.progress import Progress, silent
from supernet.train.batches import Batches
from supernet.train.finite import first_not_finite
from supernet.train.loss import distillation_loss
from supernet.train.optimize import Optimizer
from supernet.train.precision import at_precision, autocast
from supernet.train.processes import Processes
from supernet.train.recipe import Phase, Recipe
from supernet.train.schedule import plan

__all__ = ["finetune", "finetune_recipe"]

_SHARE = 0.1  # of the recipe's highest learning rate: the weights are good already


def finetune_recipe(recipe: Recipe, epochs: float) -> Recipe:
    """How a network is finetuned that a supernet was trained for: its recipe, more gently.

    One phase from a tenth of the highest learning rate down to zero, by the labels alone.

    Args:
        recipe: of the supernet.
        epochs: passes over the training images; may be a fraction.
    """
    lr = _SHARE * max(phase.lr for phase in recipe.phases)
    phase = Phase(name="finetune", epochs=epochs, lr=lr, subnets=("largest",))
    name = f"{recipe.name}-finetune"
    return replace(recipe, name=name, init="", drop_path=0, ema=0, phases=(phase,))


def finetune(
    network: nn.Module,
    dataset: Dataset,
    resolution: int,
    recipe: Recipe,
    *,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Train a network in place; it is in eval mode afterwards.

    Args:
        network: on `device`.
        dataset: its training images are used, nothing else.
        resolution: input size in pixels.
        recipe: as of `finetune_recipe`.
        device: where to train.
        seed: of the images' order and views.
        progress: told about every step.

    Raises:
        TrainingError: the loss is not finite.
        ConfigError: fewer training images than one batch.
    """
    recipe = at_precision(recipe, device)
    parts = min(recipe.accumulate, len(dataset.train))
    size = min(recipe.batch_size, len(dataset.train) // parts * parts)
    batches = Batches(
        dataset,
        batch_size=size,
        parts=parts,
        seed=seed,
        augment=recipe.augment,
        processes=Processes(device=device),
    )
    kind = torch.device(device).type
    optimizer = Optimizer(network, recipe, kind)
    stretch = plan(recipe.phases, batches.steps_per_epoch)[0]
    network.train()
    total = torch.zeros((), device=device)
    try:
        with fast_convolutions(network):
            for step in range(stretch.end):
                for part in range(parts):
                    images, labels = batches.get(step, part, resolution)
                    with autocast(recipe.precision, torch.device(device)):
                        logits = network(images)
                    loss = distillation_loss(
                        logits.float(), labels, None, weight=0, smoothing=recipe.label_smoothing
                    )
                    optimizer.backward(loss / parts)
                    total += loss.detach()
                optimizer.step(stretch.lr(step))
                progress(step + 1, stretch.end, "finetuning")
    finally:
        batches.close()
        network.eval()
    checked = {"the loss is": [total], "weights are": network.parameters()}
    found = first_not_finite(checked)  # the only time that the host waits for the device
    if found:
        raise TrainingError(f"finetuning: {found} not finite; give a lower learning rate")
