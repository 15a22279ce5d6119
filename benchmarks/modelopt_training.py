"""One network on both sides of `modelopt_pair`: starts, steps that are timed in turn, trainings."""

import copy
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from modelopt_side import convert
from torch import nn

from supernet import load_space
from supernet.data import Dataset, load_dataset
from supernet.models import Supernet
from supernet.models.imagenet import narrow_classifier
from supernet.models.packaged import weights_path
from supernet.models.weights import load_tensors
from supernet.runs import Run
from supernet.space import Space, largest, macs_of
from supernet.train import Phase, Processes, Recipe, at_batch_size, load_recipe, scaled
from supernet.train.auxiliary import Trained
from supernet.train.batches import Batches
from supernet.train.finetune import finetune, finetune_recipe
from supernet.train.optimize import Optimizer
from supernet.train.step import Step
from supernet.workflow.planning.choice import of_its_length
from supernet.workflow.start import begin_from, normalisation_at, normalised
from supernet.workflow.train import seeded_supernet, train_supernet

__all__ = ["NETWORKS", "Case", "seconds_of_finetuning", "tuned"]

NETWORKS = {"mobilenet_v2": "", "efficientnet_lite0": "efficientnet_lite0"}
"""What our spaces start from: nothing, or the published weights."""
_LR = 1e-4  # of steps that are only timed
_WARM = 2  # steps before times count


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network, the images and how both train it."""

    name: str
    data: str
    size: int
    """Of the images, on both sides."""
    batch_size: int
    seed: int

    @cached_property
    def dataset(self) -> Dataset:
        """As a run of ours has it, hold-out images included."""
        dataset = load_dataset(self.data, resolution=self.size, seed=self.seed)
        return normalised(dataset, normalisation_at(NETWORKS[self.name]))

    @cached_property
    def space(self) -> Space:
        """Ours at this one input size, its largest subnet the network itself; no dropout."""
        space = load_space(self.name)
        stages = space.stages
        if self.name == "mobilenet_v2":  # the shipped space goes beyond the network's kernels
            stages = tuple(replace(stage, kernel=stage.kernel[:1]) for stage in stages)
        return replace(
            space,
            resolutions=(self.size,),
            stages=stages,
            head=replace(space.head, dropout=0.0),
            num_classes=len(self.dataset.classes),
        )

    @property
    def largest_macs(self) -> int:
        """Of the whole network."""
        return int(macs_of(self.space, largest(self.space))[0])

    @cached_property
    def recipe(self) -> Recipe:
        """The one that `supernet plan` takes for this start, in single precision."""
        init = NETWORKS[self.name]
        recipe = load_recipe("from_pretrained" if init else "from_scratch")
        return at_batch_size(replace(recipe, init=init, precision="fp32"), self.batch_size)

    @property
    def their_recipe(self) -> Recipe:
        """The same optimiser and highest rate, one forward a step: the package draws its subnet."""
        first = self.recipe.phases[0]
        plain = Phase(
            name="theirs",
            epochs=self.recipe.epochs,
            warmup_epochs=first.warmup_epochs,
            lr=first.lr,
        )
        return replace(self.recipe, init="", phases=(plain,))

    def their_network(self) -> nn.Module:
        """The library's own network, with the weights that ours starts from where there are any."""
        if self.name == "mobilenet_v2":
            from torchvision.models import mobilenet_v2

            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                plain: nn.Module = mobilenet_v2(num_classes=self.space.num_classes, dropout=0.0)
            return plain
        import timm

        network = timm.create_model(f"tf_{self.name}")
        tensors = load_tensors(weights_path(self.name)).values()  # both in the order of running
        network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
        classifier = network.classifier
        assert isinstance(classifier, nn.Linear)
        narrow_classifier(classifier, self.dataset.classes)
        made: nn.Module = network
        return made

    def our_supernet(self) -> tuple[Supernet, float]:
        """Ours before training, and the seconds that its start from weights takes."""
        supernet, since = seeded_supernet(self.space, self.seed), time.process_time()
        if self.recipe.init:
            begin_from(supernet, self.recipe.init, self.dataset)
        return supernet, time.process_time() - since

    def steps(self, seconds: float, rounds: int) -> tuple[dict[str, int], dict[str, float]]:
        """How many steps of each side take so long here, and the seconds of a step.

        Steps of both run in turn, so a busy machine slows both alike. What our start takes is
        taken off our time.
        """
        supernet, start_s = self.our_supernet()
        theirs = _plain_step(convert(self.their_network()), self)
        ours = _our_steps(supernet, self)
        first, *own = _in_turn([theirs, *ours], rounds)
        epochs = [phase.epochs for phase in self.recipe.phases]
        step_s = {
            "modelopt": first,
            "supernet": sum(map(math.prod, zip(own, epochs, strict=True))) / sum(epochs),
        }
        left = {"modelopt": seconds, "supernet": seconds - start_s}
        counts = {side: max(1, round(left[side] / step_s[side])) for side in step_s}
        return counts, step_s | {"our_start": start_s}

    def epochs(self, steps: int) -> float:
        """That so many steps are."""
        return steps / (len(self.dataset.train) // self.batch_size)

    def train_theirs(self, steps: int) -> tuple[nn.Module, float]:
        """Their supernet, trained, with its largest subnet active; seconds."""
        model, since = convert(self.their_network()), time.process_time()
        recipe = scaled(self.their_recipe, self.epochs(steps))
        finetune(model, self.dataset, self.size, recipe, seed=self.seed)
        return model, time.process_time() - since

    def train_ours(self, steps: int, folder: Path) -> tuple[Run, float]:
        """Our run, trained; seconds from the end of its first step, without accuracies after it."""
        times: list[float] = []

        def progress(done: int, total: int, text: str) -> None:  # noqa: ARG001  # its contract
            if total == steps:
                times.append(time.process_time())

        run = train_supernet(
            self.space,
            of_its_length(scaled(self.recipe, self.epochs(steps))),
            self.data,
            folder=folder,
            seed=self.seed,
            progress=progress,
            each_epoch=lambda evaluator, record: {},
        )
        return run, times[-1] - times[0]


def seconds_of_finetuning(case: Case, networks: Sequence[nn.Module], rounds: int) -> list[float]:
    """Of a step of each of these plain networks, in turn; they stay as they are."""
    return _in_turn([_plain_step(copy.deepcopy(network), case) for network in networks], rounds)


def tuned(case: Case, network: nn.Module, steps: int) -> nn.Module:
    """A plain network, trained on in place by the labels from a tenth of the rate."""
    recipe = finetune_recipe(case.recipe, case.epochs(steps))
    finetune(network, case.dataset, case.size, recipe, seed=case.seed)
    return network


def _in_turn(steps: Sequence[Callable[[int], None]], rounds: int) -> list[float]:
    """Median seconds of each, of the processors."""
    times: list[list[float]] = [[] for _ in steps]
    for number in range(_WARM + rounds):
        for step, own in zip(steps, times):
            since = time.process_time()
            step(number)
            own.append(time.process_time() - since)
    return [statistics.median(own[_WARM:]) for own in times]


def _plain_step(network: nn.Module, case: Case) -> Callable[[int], None]:
    """A step of one forward: what `finetune` does."""
    batches = Batches(case.dataset, batch_size=case.batch_size, seed=case.seed)
    optimizer = Optimizer(network.train(), case.their_recipe, "cpu")

    def step(number: int) -> None:
        images, labels = batches.get(number, 0, case.size)
        optimizer.backward(F.cross_entropy(network(images), labels))
        optimizer.step(_LR)

    return step


def _our_steps(supernet: Supernet, case: Case) -> list[Callable[[int], None]]:
    """A step of each phase of our recipe: what `Trainer` does."""
    batches = Batches(case.dataset, batch_size=case.batch_size, seed=case.seed)
    supernet.to(memory_format=torch.channels_last).train()
    optimizer = Optimizer(supernet, case.recipe, "cpu")

    def made(phase: Phase) -> Callable[[int], None]:
        work = Step(
            Trained(supernet),
            case.recipe,
            phase,
            batches,
            wrapped=None,
            teacher=None,
            processes=Processes(),
            seed=case.seed,
        )

        def step(number: int) -> None:
            work.gradients(number, optimizer.backward)
            optimizer.step(_LR)

        return step

    return [made(phase) for phase in case.recipe.phases]
