"""What may be trained on images: spaces at input sizes, from the best to the lightest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from supernet.data import Look
from supernet.errors import ConfigError
from supernet.models.sources import is_network
from supernet.runs import find_run
from supernet.space import Space, count_subnets, load_space
from supernet.train import Recipe, at_batch_size, load_recipe, standalone_recipe
from supernet.workflow.any_cnn import convert, network_at
from supernet.workflow.planning.schedule import total_steps
from supernet.workflow.planning.start import installed_start
from supernet.workflow.start import SPACES

__all__ = [
    "Candidate",
    "batch_size_for",
    "candidates",
    "epochs_enough",
    "epochs_wanted",
    "halves",
    "in_steps_enough",
    "is_photographic",
    "of_its_length",
    "sizes_up_to",
    "suited",
    "top_size",
]

_LARGEST = 224
"""Published spaces and weights go up to it."""
_PHOTOGRAPH = 48
"""Images below have no room for a network that halves them five times."""
_SPACES = (("mobilenet_v3", 96, _LARGEST), ("small_photos", 48, 128))
"""For photographs without weights, with the smallest input size at which each still sees something
(the last maps have a side of 3 pixels then), and the largest."""
_SMALL_SPACE, _SMALL_LEAST = "demo", 16
"""For smaller images, at their own size whatever the time: at half of it they lose what is seen."""
_WEIGHTS_LEAST = 96
"""Weights that were trained at 224 pixels are of little use far below."""
_SHARES = (1.0, 0.875, 0.75, 0.625, 0.5)
_LOWER = (0.7, 0.85)
_STEPS = 50
"""Of an epoch, at least, before the batch is made smaller."""
_LEAST_OF_FEW_IMAGES = 16
"""That it is made smaller for them no further."""
_ENOUGH, _ENOUGH_FROM_WEIGHTS = 1000, 500
"""Steps of a training, at least, before its batch is made smaller; random weights need more."""
_LEAST_IN_SHORT_TIMES = 32
_FEW_EPOCHS, _SHARE_BETWEEN = 4.0, 0.5
"""In which it is better that all subnets begin at half of the highest learning rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A space and the weights it starts from."""

    space: Space
    init: str
    """As in `supernet.train.Recipe.init`; empty for random weights."""

    @property
    def recipe(self) -> Recipe:
        """The shipped recipe that short trainings of this start do best with."""
        if not self.init:
            return suited(load_recipe("from_scratch"), self.space)
        return suited(replace(load_recipe("from_pretrained"), init=self.init), self.space)


def candidates(look: Look, *, space: Space | None, init: str | None) -> list[Candidate]:
    """What may be trained, from the best to the lightest.

    Args:
        look: at the images.
        space: that the user chose, sizes included; none for our choice.
        init: weights that the user chose; none for our choice, which may be none.

    Raises:
        ConfigError: the weights tell no space, and none was given.
    """
    start = installed_start()
    if space is not None:
        own = start.init if init is None and start and start.space == space.name else init
        return [Candidate(space=space, init=own or "")]
    if init and not is_network(init) and Path(init).is_dir():
        return [Candidate(space=find_run(Path(init)).space(), init=init)]
    if init:
        return _at_sizes(_space_of(init), look, init, _WEIGHTS_LEAST)
    if not is_photographic(look):
        return _at_sizes(load_space(_SMALL_SPACE), look, "", least=top_size(look))
    if start is not None and init is None and look.channels == 3:
        return _at_sizes(load_space(start.space), look, start.init, _WEIGHTS_LEAST)
    found = []
    for name, least, most in _SPACES:
        if top_size(look) >= least:
            found += _at_sizes(load_space(name), look, "", least, most)
    return found


def suited(recipe: Recipe, space: Space) -> Recipe:
    """A recipe of supernets for a space: one phase without a teacher where it is one network.

    Several subnets of a step would all be that network.
    """
    if count_subnets(space) > 1:
        return recipe
    return standalone_recipe(recipe, largest=True, init=recipe.init)


def is_photographic(look: Look) -> bool:
    """Whether the images have the pixels for a network that is made for photographs."""
    return top_size(look) >= _PHOTOGRAPH


def top_size(look: Look) -> int:
    """The largest input size that the images are worth: that of the median, never above 224.

    Half of them are then made smaller, and of the others few are made much larger.
    """
    return max(_SMALL_LEAST, _rounded(min(_LARGEST, look.short_sides[1])))


def sizes_up_to(top: int) -> tuple[int, ...]:
    """Three input sizes, the largest of them `top`: multiply-adds of one half to all."""
    step = _step(top)
    return tuple(sorted({*(round(top * share / step) * step for share in _LOWER), top}))


def epochs_wanted(look: Look, init: str) -> float:
    """Epochs after which more are of little use: fewer for more images, and from weights."""
    low, high = (2.0, 20.0) if init else (20.0, 200.0)
    wanted = _at_ten_thousand(init) * (10_000 / max(1, look.train_images)) ** 0.3
    return float(round(min(high, max(low, wanted))))


def epochs_enough(look: Look, init: str) -> float:
    """Epochs for which a lighter network is not yet taken: half of those wanted.

    Of more than 10,000 images, no more are seen than half of what is wanted for these: new ones
    teach as much as repeated ones.
    """
    of_ten_thousand = _at_ten_thousand(init) * 10_000 / max(1, look.train_images)
    return 0.5 * min(epochs_wanted(look, init), of_ten_thousand)


def _at_ten_thousand(init: str) -> float:
    """Epochs of 10,000 images."""
    return 6.0 if init else 60.0


def batch_size_for(look: Look, recipe: Recipe, processes: int) -> Recipe:
    """The recipe with a batch that leaves steps enough in an epoch of few images."""
    size, images = recipe.batch_size, look.train_images
    while size > _LEAST_OF_FEW_IMAGES and images // size < _STEPS:
        size //= 2
    size = min(size * processes, max(1, images) // processes * processes)
    return at_batch_size(recipe, max(size, 1))


def halves(batch_size: int, divisor: int = 1) -> list[int]:
    """A batch size and the smaller ones that trainings of minutes may have, the largest first.

    Args:
        batch_size: of the recipe.
        divisor: parts and processes that a batch is divided among.
    """
    sizes = [batch_size]
    while sizes[-1] // 2 >= _LEAST_IN_SHORT_TIMES * divisor:
        sizes.append(sizes[-1] // 2)
    return sizes


def in_steps_enough(
    recipe: Recipe, batch_sizes: Sequence[int], fit: Callable[[Recipe], Recipe], images: int
) -> Recipe:
    """The recipe as it fits into a time, at the first of the batch sizes with steps enough.

    Args:
        recipe: of any length.
        batch_sizes: the largest first; the last one when none gives steps enough.
        fit: gives a recipe the epochs for which there is time.
        images: in an epoch.
    """
    enough = _ENOUGH_FROM_WEIGHTS if recipe.init else _ENOUGH
    for size in batch_sizes:
        found = fit(at_batch_size(recipe, size))
        if total_steps(found, images) >= enough:
            break
    return found


def of_its_length(recipe: Recipe) -> Recipe:
    """The recipe of two phases with the rate between them that suits its epochs.

    A recipe from weights, or of one phase, stays as it is.
    """
    if recipe.init or recipe.epochs >= _FEW_EPOCHS or len(recipe.phases) != 2:
        return recipe
    first, second = recipe.phases
    between = _SHARE_BETWEEN * first.lr
    return replace(recipe, phases=(replace(first, lr_end=between), replace(second, lr=between)))


def _at_sizes(
    space: Space, look: Look, init: str, least: int, most: int = _LARGEST
) -> list[Candidate]:
    """The space at input sizes from those of the images down."""
    top = min(most, top_size(look))
    tops = dict.fromkeys(max(_rounded(top * share), min(least, top)) for share in _SHARES)
    return [Candidate(space=_resized(space, sizes_up_to(size)), init=init) for size in tops]


def _resized(space: Space, sizes: Sequence[int]) -> Space:
    name = f"{space.name}-{sizes[-1]}"
    return replace(space, name=name, resolutions=tuple(sizes))


def _step(size: float) -> int:
    """Input sizes are multiples of it, since networks halve them."""
    return 16 if size >= 96 else 8 if size >= 48 else 4


def _rounded(size: float) -> int:
    """Down to a multiple of `_step`."""
    return int(size // _step(size)) * _step(size)


def _space_of(init: str) -> Space:
    """The space that weights are made for: a shipped one, or one around their network.

    Raises:
        ConfigError: they do not tell, or no kind of block has a layer of the network.
    """
    network = init.partition("=")[0]
    name = SPACES.get(network)
    if name is not None:
        return load_space(name)
    if is_network(init):
        plain, size = network_at(network)
        try:
            return convert(network, plain, size=size).space
        except ConfigError as error:
            told = [f"--init {init}: {problem}" for problem in error.problems]
            raise ConfigError(told, hint=error.hint) from None
    start = installed_start()
    if start is not None and init == start.init:
        return load_space(start.space)
    raise ConfigError(
        f"--init {init}: no shipped space is known to be made for these weights",
        hint="give the space that they are of: --space NAME or FILE",
    )
