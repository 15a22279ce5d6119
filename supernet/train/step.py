"""One training step: the subnets' forward and backward passes over a batch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from supernet.space import Genes, Subnet, decode
from supernet.train.auxiliary import Trained
from supernet.train.batches import Batches
from supernet.train.loss import distillation_loss
from supernet.train.precision import autocast
from supernet.train.processes import Processes
from supernet.train.recipe import Phase, Recipe
from supernet.train.sampling import macs_neighbours, phase_genes, step_rng
from supernet.train.unused import attach_unused_parameters

__all__ = ["Step"]


class Step:
    """What all steps of a phase do.

    Args:
        trained: the supernet, with its auxiliary head where the recipe asks for one.
        recipe: what all phases share.
        phase: the phase.
        batches: the images.
        wrapped: the same, where several processes add up their gradients.
        teacher: the frozen one, if any.
        processes: those that train together.
        seed: of the training.
        total_steps: of the whole training, over which drop-path in cells rises.
    """

    def __init__(  # noqa: PLR0913  # most by their names
        self,
        trained: Trained,
        recipe: Recipe,
        phase: Phase,
        batches: Batches,
        *,
        wrapped: DistributedDataParallel | None,
        teacher: nn.Module | None,
        processes: Processes,
        seed: int,
        total_steps: int = 1,
    ) -> None:
        self._total_steps = total_steps
        self._trained, self._supernet = trained, trained.supernet
        self._recipe, self._phase = recipe, phase
        self._batches, self._wrapped, self._teacher = batches, wrapped, teacher
        self._processes, self._seed = processes, seed
        self._device = next(trained.parameters()).device

    def gradients(
        self, step: int, backward: Callable[[Tensor], None], genes: Genes | None = None
    ) -> Tensor:
        """Add up the gradients of the step's subnets; their mean loss on this process.

        Args:
            step: of the whole training; with the seed, it decides all that is random.
            backward: computes the gradients of a loss.
            genes: the subnets of the step, at one resolution; as `phase_genes` when not given.
        """
        if genes is None:
            genes = phase_genes(self._supernet.space, self._phase, self._seed, step)
        resolution = decode(self._supernet.space, genes[:1])[0].resolution
        total = torch.zeros((), device=self._device)
        parts = self._recipe.accumulate
        for part in range(parts):
            images, labels = self._batches.get(step, part, resolution)
            if part == 0:
                subnets = self._chosen(genes, step, images, labels)
            for loss in self._losses(subnets, images, labels, (step, part), backward):
                total += loss
        return total / (len(subnets) * parts)

    def _losses(
        self,
        subnets: Sequence[Subnet],
        images: Tensor,
        labels: Tensor,
        moment: tuple[int, int],
        backward: Callable[[Tensor], None],
    ) -> Iterator[Tensor]:
        """Loss after loss, each with its gradients added; `moment` is the step and its part."""
        recipe = self._recipe
        last = moment[1] + 1 == recipe.accumulate
        taught = self._taught(images)
        for number, subnet in enumerate(subnets, start=1):
            adds_up = last and number == len(subnets)
            with self._apart(together=adds_up):
                self._supernet.activate(subnet)
                with self._regularised(subnet, *moment, number), self._rounded(), self._cast():
                    logits, *nearer = (self._wrapped or self._trained)(images)
                loss = self._loss(logits, labels, taught)
                for own in nearer:
                    loss = loss + recipe.auxiliary * self._loss(own, labels, taught)
                share = loss / recipe.accumulate if recipe.accumulate > 1 else loss
                if adds_up and self._wrapped:
                    with attach_unused_parameters(share, self._trained.parameters()) as share:
                        backward(share)
                else:
                    backward(share)
            yield loss.detach()
            if self._phase.teacher == "in_place" and number == 1:
                taught = logits.detach().float()

    def _loss(self, logits: Tensor, labels: Tensor, taught: Tensor | None) -> Tensor:
        phase = self._phase
        return distillation_loss(
            logits.float(),
            labels,
            taught,
            weight=phase.distill,
            label_weight=phase.label_weight,
            smoothing=self._recipe.label_smoothing,
            divergence=phase.divergence,
        )

    def _apart(self, *, together: bool) -> AbstractContextManager[None]:
        """Processes keep their gradients for themselves until the step's last backward pass."""
        if together or self._wrapped is None:
            return nullcontext()
        return self._wrapped.no_sync()

    def _rounded(self) -> AbstractContextManager[None]:
        return self._supernet.on_integers() if self._phase.int8 else nullcontext()

    def _cast(self) -> AbstractContextManager[object]:
        return autocast(self._recipe.precision, self._device)

    @torch.no_grad()
    def _taught(self, images: Tensor) -> Tensor | None:
        if self._teacher is None:
            return None
        with self._cast():
            logits: Tensor = self._teacher(images)
        return logits.float()

    @contextmanager
    def _regularised(self, subnet: Subnet, step: int, part: int, number: int) -> Iterator[None]:
        """Dropout and drop-path, for the largest subnet of any input size; of cells, for all.

        In cells drop-path rises over the training (arXiv:1707.07012, appendix A.7). Each
        process, part of a step and subnet has draws of its own.
        """
        space = self._supernet.space
        dropout, drop_path = space.head.dropout, self._recipe.drop_path
        if space.cells is not None:
            drop_path *= min(1.0, step / self._total_steps)
        largest = self._supernet.largest
        chosen = (
            space.cells is not None or replace(subnet, resolution=largest.resolution) == largest
        )
        if not chosen or not (dropout or drop_path):
            yield
            return
        rng = step_rng(self._seed, "dropout", step, part, number, self._processes.rank)
        on_gpu = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=on_gpu):
            torch.manual_seed(int(rng.integers(2**31)))
            self._supernet.regularise(dropout=dropout, drop_path=drop_path)
            try:
                yield
            finally:
                self._supernet.regularise()

    def _chosen(self, genes: Genes, step: int, images: Tensor, labels: Tensor) -> list[Subnet]:
        """The step's subnets, those that are to be the best or the worst found out."""
        space, phase = self._supernet.space, self._phase
        chosen = genes.copy()
        for row, kind in enumerate(phase.subnets):
            if kind in ("best_up", "worst_up"):
                number = step * len(phase.subnets) + row
                found = macs_neighbours(space, phase, genes[row : row + 1], self._seed, number)
                losses = self._rival_losses(decode(space, found), images, labels)
                best = losses.argmin() if kind == "best_up" else losses.argmax()
                chosen[row] = found[int(best)]
        return decode(space, chosen)

    @torch.no_grad()
    def _rival_losses(
        self, subnets: Sequence[Subnet], images: Tensor, labels: Tensor
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        losses = []
        for subnet in subnets:
            self._supernet.activate(subnet)
            with self._cast():
                logits = self._supernet(images)
            losses.append(F.cross_entropy(logits.float(), labels))
        found: np.ndarray[tuple[int], np.dtype[np.float64]] = np.nan_to_num(
            self._processes.mean(torch.stack(losses)).double().cpu().numpy(), nan=np.inf
        )
        return found
