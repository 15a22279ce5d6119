"""How a supernet is trained: recipes, phases, the loop, checkpoints."""

from supernet.train.auxiliary import check_auxiliary
from supernet.train.batches import check_shares
from supernet.train.checkpoint import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from supernet.train.events import event_writer
from supernet.train.loss import alpha_divergence, distillation_loss
from supernet.train.norms import check_norms
from supernet.train.precision import at_precision
from supernet.train.processes import Processes, joined_processes
from supernet.train.recipe import Elastic, Phase, Recipe
from supernet.train.recipes import (
    aimed,
    at_batch_size,
    augmented,
    list_recipes,
    load_recipe,
    only_phases,
    save_recipe,
    scaled,
    standalone_recipe,
)
from supernet.train.sampling import phase_genes
from supernet.train.search_phase import SearchPhase
from supernet.train.teacher import check_teachers
from supernet.train.trainer import Trainer

__all__ = [
    "Checkpoint",
    "Elastic",
    "Phase",
    "Processes",
    "Recipe",
    "SearchPhase",
    "Trainer",
    "aimed",
    "alpha_divergence",
    "at_batch_size",
    "at_precision",
    "augmented",
    "check_auxiliary",
    "check_norms",
    "check_shares",
    "check_teachers",
    "distillation_loss",
    "event_writer",
    "joined_processes",
    "list_checkpoints",
    "list_recipes",
    "load_checkpoint",
    "load_recipe",
    "only_phases",
    "phase_genes",
    "save_checkpoint",
    "save_recipe",
    "scaled",
    "standalone_recipe",
]
