"""The search of one phase: its method, its images, and what it notes each epoch."""

from dataclasses import replace
from typing import Any

from supernet.data import Augment, Dataset, ImageSet, hold_out
from supernet.errors import ConfigError
from supernet.latency import LatencyPredictor
from supernet.models import Supernet
from supernet.train.architecture.contract import Method
from supernet.train.architecture.expected import ExpectedLatency
from supernet.train.architecture.policy import Policy
from supernet.train.architecture.registry import METHODS
from supernet.train.architecture.step import ArchitectureStep
from supernet.train.batches import Batches
from supernet.train.processes import Processes
from supernet.train.recipe import Recipe
from supernet.train.sampling import phase_domain
from supernet.train.schedule import Stretch
from supernet.train.search_phase import SearchPhase
from supernet.train.step import Step

__all__ = ["ArchitecturePhase", "check_aim", "image_halves"]


class ArchitecturePhase:
    """What a phase needs for its search, beside what all phases need.

    The training images are cut into two halves, each with the same share of every class:
    one for the weights, one for the choices, whose images are never mixed, since what counts
    there is how many are told right. An epoch has as many steps as in other phases,
    so the weights see their half twice in it.

    Args:
        supernet: the weights.
        dataset: whose training images are cut in halves.
        recipe: what all phases share.
        stretch: the phase with its place in the training.
        predictor: of latencies on the target of the phase.
        processes: those that train together.
        seed: of the training.

    Raises:
        ConfigError: no target or limit, or nothing to choose.
    """

    def __init__(
        self,
        supernet: Supernet,
        dataset: Dataset,
        recipe: Recipe,
        stretch: Stretch,
        *,
        predictor: LatencyPredictor,
        processes: Processes,
        seed: int,
    ) -> None:
        settings = stretch.phase.search
        assert settings is not None
        check_aim(stretch.phase.name, settings)
        self._settings, self._stretch = settings, stretch
        self._supernet, self._recipe = supernet, recipe
        self._processes, self._seed = processes, seed
        policy = Policy(phase_domain(supernet.space, stretch.phase))
        self._latency = ExpectedLatency(predictor, policy.counts)
        self.method: Method = METHODS[settings.method].factory(policy, self._latency, settings)
        self._weights, self._choices = (
            Batches(
                replace(dataset, train=half),
                batch_size=recipe.batch_size,
                parts=recipe.accumulate,
                seed=seed,
                augment=augment,
                processes=processes,
            )
            for half, augment in zip(
                image_halves(dataset, seed), (recipe.augment, unmixed(recipe.augment))
            )
        )

    @property
    def batches(self) -> Batches:
        """The images that the weights learn from."""
        return self._weights

    def step(self, weights: Step) -> ArchitectureStep:
        """What all steps of the phase do; `weights` trains them with `batches`."""
        return ArchitectureStep(
            self.method,
            weights,
            self._choices,
            supernet=self._supernet,
            recipe=self._recipe,
            stretch=self._stretch,
            processes=self._processes,
            seed=self._seed,
        )

    def record(self) -> dict[str, Any]:
        """What the method has learned so far, as plain values."""
        policy, settings = self.method.policy, self._settings
        own = policy.by_gene()
        return {
            "phase": self._stretch.phase.name,
            "method": settings.method,
            "target": settings.target,
            "limit_ms": settings.limit_ms,
            "expected_ms": float(self._latency(policy.probabilities().detach())),
            "entropy": policy.entropy,
            "probabilities": {
                gene.name: values.tolist() for gene, values in zip(policy.genes, own)
            },
        }

    def close(self) -> None:
        """Stop reading ahead."""
        self._weights.close()
        self._choices.close()


def image_halves(dataset: Dataset, seed: int) -> tuple[ImageSet, ImageSet]:
    """The training images for the weights and those for the choices.

    Raises:
        DataError: a class has a single image.
    """
    images = dataset.train
    return hold_out(images, 0.5, seed, most=len(images))


def unmixed(augment: Augment | None) -> Augment:
    """The same views, each of one image."""
    return replace(augment or Augment(), mixup=0.0, cutmix=0.0)


def check_aim(phase: str, settings: SearchPhase) -> None:
    """Refuse a search that does not say which latency it is to reach.

    Raises:
        ConfigError: no target or no limit.
    """
    if not settings.target or not settings.limit_ms:
        what = "limit" if settings.target else "target"
        raise ConfigError(
            f"phase {phase!r} searches for a subnet within a latency, and no {what} was named",
            hint="give --target NAME --max-latency-ms MS (`supernet targets` lists the targets)",
        )
