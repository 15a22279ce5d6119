"""How a supernet is trained: phases on one engine, as frozen values."""

import math
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from supernet.data import Augment
from supernet.elastic import Importance
from supernet.errors import ConfigError
from supernet.models.sources import is_network
from supernet.train.search_phase import SearchPhase

__all__ = ["RUN_TEACHER", "Elastic", "Phase", "Precision", "Recipe", "SubnetKind"]

RUN_TEACHER = "run:"
"""Begins the name of a teacher that is the largest subnet of a run."""

_SHARES = "momentum", "beta2", "weight_decay", "label_smoothing", "drop_path", "auxiliary", "ema"
SubnetKind: TypeAlias = Literal["largest", "smallest", "random", "best_up", "worst_up"]
Precision: TypeAlias = Literal["fp32", "bf16", "fp16", "auto"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elastic:
    """How many choices of each kind a phase samples from, counted from the largest.

    1 fixes the largest choice, 0 admits all of them.
    """

    resolution: int = 0
    kernel: int = 1
    depth: int = 1
    expand: int = 1
    width: int = 1
    """Of stages, and of the stem and the head."""
    operator: int = 1
    """Kinds of block, squeeze-excite and shortcuts; inputs and operations of cells."""

    def __post_init__(self) -> None:
        counts = asdict(self).items()
        wrong = [f"{key}: must be 0 (all) or more, found {n}" for key, n in counts if n < 0]
        if wrong:
            raise ConfigError(wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One stretch of training with its own schedule: warm-up, then a cosine."""

    name: str
    """Shown in the progress and in ``metrics.jsonl``."""
    epochs: float
    """Passes over the training images; may be a fraction."""
    warmup_epochs: float = 0.0
    """Part of `epochs` in which the learning rate rises from zero."""
    lr: float
    """Highest learning rate, for the recipe's batch size."""
    lr_end: float = 0.0
    """Learning rate that the cosine ends at."""
    elastic: Elastic = field(default_factory=Elastic)
    """What the random subnets of this phase may choose from."""
    subnets: tuple[SubnetKind, ...] = ("random",)
    """The subnets of one step; their gradients are added up. ``best_up`` and ``worst_up``
    are the best or the worst, on the step's images, of `candidates` random subnets with
    about as many MACs (AttentiveNAS, arXiv:2011.09011, section 3)."""
    size_share: Literal["steps", "work"] = "steps"
    """What all input sizes have an equal share of: the steps, or the work, of which a step has the
    more the larger its images are; small ones are then trained more often."""
    candidates: int = 3
    """Random subnets that ``best_up`` and ``worst_up`` choose from."""
    distill: float = 0.0
    """Weight of what the teacher says, 0 to 1."""
    labels: float | None = None
    """Weight of the labels where there is a teacher; 1 - `distill` when not given."""
    divergence: Literal["kl", "alpha"] = "kl"
    """How far a subnet is from the teacher: Kullback-Leibler (arXiv:1503.02531), or the
    adaptive alpha-divergence (AlphaNet, arXiv:2102.07954), which wants `clip_value`."""
    teacher: str = "frozen"
    """``frozen``: the largest subnet as it was after the first phase, if that trained
    nothing else, or as it was at the start. ``in_place``: the largest subnet of the same
    step, which then comes first, learns from labels alone and teaches the others (BigNAS,
    arXiv:2003.11142). ``torchvision:NAME``, ``timm:NAME``, with ``=FILE`` for weights of
    your own: that network. ``run:FOLDER``: the largest subnet of a trained run."""
    int8: bool = False
    """Whether subnets are trained on what 8-bit integers hold: weights and what layers read are
    rounded, gradients are not (arXiv:1806.08342)."""
    sort_channels: bool = False
    """Whether channels are sorted by importance before this phase."""
    sort_by: Importance = "weights"
    """What is important: ``weights``, the L1 norm of those that read a channel, as
    Once-for-All takes it (arXiv:1908.09791, section 3.3); ``variance``, what the channel causes
    of it in what reads it, as its batch norm and the squared weights tell."""
    search: SearchPhase | None = None
    """Whether and how the phase searches by gradient; its random subnets are then drawn from
    what it learns."""

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.epochs <= 10000:
            problems.append(f"epochs: must be above 0 and at most 10000, found {self.epochs}")
        if not 0 <= self.warmup_epochs <= self.epochs:
            problems.append(f"warmup_epochs: must be from 0 to epochs, found {self.warmup_epochs}")
        if not 0 < self.lr <= 100:
            problems.append(f"lr: must be above 0 and at most 100, found {self.lr}")
        if not 0 <= self.lr_end <= self.lr:
            problems.append(f"lr_end: must be from 0 to lr, found {self.lr_end}")
        if not 0 <= self.distill <= 1:
            problems.append(f"distill: must be from 0 to 1, found {self.distill}")
        if self.labels is not None and not 0 <= self.labels <= 1:
            problems.append(f"labels: must be from 0 to 1, found {self.labels}")
        problems += self._subnet_problems()
        if problems:
            raise ConfigError(problems)

    def _subnet_problems(self) -> list[str]:
        problems = []
        foreign = is_network(self.teacher) or self.teacher.startswith(RUN_TEACHER)
        if self.teacher not in ("frozen", "in_place") and not foreign:
            problems.append(
                "teacher: must be frozen, in_place, torchvision:NAME, timm:NAME, "
                f"FILE.py:FUNCTION or run:FOLDER, found {self.teacher!r}"
            )
        if self.teacher == "in_place" and self.subnets[:1] != ("largest",):
            problems.append("subnets: must start with largest for teacher: in_place")
        if not self.subnets:
            problems.append("subnets: needs at least one")
        if not 2 <= self.candidates <= 64:
            problems.append(f"candidates: must be from 2 to 64, found {self.candidates}")
        if self.search and self.size_share != "steps":
            problems.append("size_share: a phase that searches draws the input sizes itself")
        if self.search and ("random" not in self.subnets or self.picks):
            problems.append(
                "subnets: a phase that searches trains random ones, and largest and smallest if "
                f"asked for; found {', '.join(self.subnets)}"
            )
        return problems

    @property
    def picks(self) -> bool:
        """Whether some of its subnets are the best or the worst of several."""
        return not {"best_up", "worst_up"}.isdisjoint(self.subnets)

    @property
    def label_weight(self) -> float:
        """Weight of the labels where there is a teacher."""
        return 1 - self.distill if self.labels is None else self.labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A list of phases and what they share."""

    name: str
    """Short name, as given to ``--recipe``."""
    about: str = ""
    """One line for a reader, with the source of the recipe."""
    init: str = ""
    """Where the weights of the largest subnet come from: ``efficientnet_lite0`` (1, 2) of
    ``supernet[pretrained]``, ``torchvision:NAME``, ``timm:NAME`` (``=FILE`` for weights of
    your own), ``FILE.py:FUNCTION`` (a network of your own), a run folder, or a weights file of
    the same space; empty for random weights.
    ``required`` stands for one of them, to be given by ``--init``."""
    batch_size: int = 128
    """Images a step, over all processes and all of its parts."""
    accumulate: int = 1
    """Parts into which a step's images are cut, one after the other, where memory is
    short. Batch norm sees each part for itself."""
    precision: Precision = "fp32"
    """Type that convolutions and products are computed in; weights stay fp32. ``auto`` is
    bf16 where the device is faster with it, else fp32; a run keeps what it was started with."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum, or AdamW (arXiv:1711.05101)."""
    momentum: float = 0.9
    """Of Nesterov SGD; the first beta of AdamW."""
    beta2: float = 0.999
    """The second beta of AdamW."""
    weight_decay: float = 3e-5
    """Not on batch norm and biases."""
    label_smoothing: float = 0.1
    """Share of the hard label given to all classes alike."""
    clip_norm: float = 0.0
    """Largest norm of the gradient; 0 for no clipping."""
    clip_value: float = 0.0
    """Largest absolute value in the gradient; 0 for no clipping."""
    drop_path: float = 0.0
    """Probability that the last block of the largest subnet is left out for an image
    (arXiv:1603.09382); it rises from 0 at the first block. In cells that an operation of the last
    cell is left out, in all subnets; it rises with the cell and over the training."""
    auxiliary: float = 0.0
    """Weight of the loss of a second classifier behind the second group of cells, which is there
    in training only (arXiv:1707.07012, appendix A.7: 0.4); 0 for none."""
    ema: float = 0.0
    """Share that an average of the weights keeps at each step, such as 0.999; the averaged
    weights are what is validated, and what the next phase starts from. 0 for none."""
    sync_norm: bool = True
    """Whether several processes share their batch norm statistics, so that the weights do
    not depend on how many there are."""
    non_finite: Literal["stop", "skip"] = "stop"
    """What to do about a gradient that is not finite: stop, or leave out the step and count
    it (stopping after 50 in a row)."""
    augment: Augment | None = None
    """How training images are varied; as the data set says when not given."""
    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.batch_size <= 65536:
            problems.append(f"batch_size: must be from 1 to 65536, found {self.batch_size}")
        if self.accumulate < 1 or self.batch_size % self.accumulate:
            problems.append(
                f"accumulate: must divide batch_size {self.batch_size}, found {self.accumulate}"
            )
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                problems.append(f"{name}: must be from 0 to below 1, found {getattr(self, name)}")
        for name in ("clip_norm", "clip_value"):
            if not 0 <= getattr(self, name) < math.inf:
                found = getattr(self, name)
                problems.append(f"{name}: must be finite and not negative, found {found}")
        problems += self._phase_problems()
        if problems:
            raise ConfigError(problems)

    def _phase_problems(self) -> list[str]:
        if not self.phases:
            return ["phases: needs at least one"]
        problems = []
        first = self.phases[0]
        if not self.init and first.distill and first.teacher == "frozen":
            problems.append(
                "phases[0].distill: there is no frozen teacher yet in the first phase; give init "
                "to start from trained weights"
            )
        if len({phase.name for phase in self.phases}) < len(self.phases):
            problems.append("phases: names must differ")
        problems += [
            f"phases[{i}].name: that of a phase that searches names the folder of its result: "
            f"letters, digits, '_' and '-' only, found {phase.name!r}"
            for i, phase in enumerate(self.phases)
            if phase.search and not phase.name.replace("_", "").replace("-", "").isalnum()
        ]
        return problems

    @property
    def searching(self) -> tuple[Phase, ...]:
        """The phases that search by gradient."""
        return tuple(phase for phase in self.phases if phase.search)

    @property
    def epochs(self) -> float:
        """Passes over the training images, of all phases together."""
        return sum(phase.epochs for phase in self.phases)
