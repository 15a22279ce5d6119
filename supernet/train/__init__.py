"""How a supernet is trained: recipes, phases, the loop, checkpoints."""

from supernet.train.checkpoint import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from supernet.train.loss import distillation_loss
from supernet.train.recipe import Elastic, Phase, Recipe, list_recipes, load_recipe, scaled
from supernet.train.sampling import phase_genes
from supernet.train.trainer import Trainer

__all__ = [
    "Checkpoint",
    "Elastic",
    "Phase",
    "Recipe",
    "Trainer",
    "distillation_loss",
    "list_checkpoints",
    "list_recipes",
    "load_checkpoint",
    "load_recipe",
    "phase_genes",
    "save_checkpoint",
    "scaled",
]
