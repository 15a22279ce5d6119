"""One step of a phase that searches: the choices learn, then the weights."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from supernet.models import Supernet
from supernet.space import Genes, Subnet, decode
from supernet.train.architecture.contract import Method, Scores
from supernet.train.batches import Batches
from supernet.train.precision import autocast
from supernet.train.processes import Processes
from supernet.train.recipe import Recipe
from supernet.train.sampling import phase_genes, step_rng
from supernet.train.schedule import Stretch
from supernet.train.step import Step

__all__ = ["ArchitectureStep"]


class ArchitectureStep:
    """What all steps of a phase that searches do, in place of `Step`.

    Args:
        method: draws subnets and learns.
        weights: trains the weights by the subnets that it is told.
        batches: images that the choices learn from, none of them among those of the weights.
        supernet: the weights.
        recipe: what all phases share.
        stretch: the phase with its place in the training.
        processes: those that train together.
        seed: of the training.
    """

    def __init__(
        self,
        method: Method,
        weights: Step,
        batches: Batches,
        *,
        supernet: Supernet,
        recipe: Recipe,
        stretch: Stretch,
        processes: Processes,
        seed: int,
    ) -> None:
        assert stretch.phase.search is not None
        self._method, self._settings = method, stretch.phase.search
        self._weights = weights
        self._batches, self._supernet, self._recipe = batches, supernet, recipe
        self._stretch, self._processes, self._seed = stretch, processes, seed

    def gradients(self, step: int, backward: Callable[[Tensor], None]) -> Tensor:
        """As `Step.gradients`, with subnets of the method; before, it learns."""
        done = step - self._stretch.start
        share = done / self._stretch.steps
        if share >= self._settings.warmup and done % self._settings.every == 0:
            rng = step_rng(self._seed, "architecture", step)
            self._method.learn(lambda genes: self._scores(step, genes), share, rng)
        return self._weights.gradients(step, backward, self._genes(step, share))

    def _genes(self, step: int, share: float) -> Genes:
        """The step's subnets: those that would be random are the method's."""
        phase, space = self._stretch.phase, self._supernet.space
        genes = phase_genes(space, phase, self._seed, step)
        rows = [row for row, kind in enumerate(phase.subnets) if kind == "random"]
        genes[rows] = self._method.paths(len(rows), share, step_rng(self._seed, "paths", step))
        column = self._supernet.layout.resolution.column
        if rows and column >= 0:  # all subnets of a step see the images at one size
            genes[:, column] = genes[rows[0], column]
        return genes

    @torch.no_grad()
    def _scores(self, step: int, genes: Genes) -> Scores:
        """Losses and accuracies of subnets on the step's images, batch norm in train mode."""
        parts = self._recipe.accumulate
        found = torch.zeros(len(genes), 2, device=self._batches.device)
        subnets = decode(self._supernet.space, genes)
        for part in range(parts):
            for size in dict.fromkeys(subnet.resolution for subnet in subnets):
                images, labels = self._batches.get(step, part, size)
                for row, subnet in enumerate(subnets):
                    if subnet.resolution == size:
                        found[row] += self._score(subnet, images, labels) / parts
        both = self._processes.mean(found).cpu().double().numpy()  # waits for the device
        return Scores(losses=np.ascontiguousarray(both[:, 0]), top1=both[:, 1].copy())

    def _score(self, subnet: Subnet, images: Tensor, labels: Tensor) -> Tensor:
        self._supernet.activate(subnet)
        with autocast(self._recipe.precision, images.device):
            logits = self._supernet(images)
        loss = F.cross_entropy(logits.float(), labels)
        return torch.stack([loss, (logits.argmax(1) == labels).float().mean()])
