"""The held-out images that accuracies are measured on: there, and how many."""

import numpy as np

from supernet.errors import DataError
from supernet.evaluate import Evidence
from supernet.progress import Progress, note
from supernet.run_images import images_are_there
from supernet.runs import Run
from supernet.space import Domain, subnet_keys
from supernet.workflow.accuracies import first_pairs
from supernet.workflow.request import SearchRequest

__all__ = ["check_held_out", "few_told"]

_FEW = 100
"""Images of which one is a whole point of accuracy."""


def check_held_out(run: Run, request: SearchRequest, progress: Progress, *, learns: bool) -> None:
    """Refuse a search that must measure without images; say where it measures on very few.

    Args:
        run: that is searched.
        request: what is asked for.
        progress: told where the images are few.
        learns: whether a predictor is to be learned first.

    Raises:
        DataError: the images are gone, and what was measured before is not enough.
    """
    if not images_are_there(run) and not _is_kept(run, request, learns=learns):
        raise DataError(
            f"{run.config().data}: no such images, and accuracies must be measured on those that "
            f"{run.folder} held out",
            hint="put them back where they were, or give --predictor FILE with --confirm 0",
        )
    held_out = run.config().holdout_images
    told = few_told(min(request.images or held_out, held_out), "accuracies are measured")
    if told:
        note(progress, told)


def few_told(images: int, what: str) -> str:
    """What to think of accuracies on so many held-out images; empty where they are enough.

    Args:
        images: how many; 0 where it is not known.
        what: was done with them, as the sentence begins.
    """
    if not 0 < images < _FEW:
        return ""
    return (
        f"{what} on {images} held-out image{'s' * (images > 1)}, where one is "
        f"{100 / images:.3g} points: small differences are chance; more images tell more"
    )


def _is_kept(run: Run, request: SearchRequest, *, learns: bool) -> bool:
    """Whether accuracies were measured from which the search can begin."""
    evidence = Evidence(run.evidence)
    if not learns:
        return bool(evidence.conditions())
    pairs = first_pairs(Domain.of(run.space(), request.fix), request.pairs, request.seed)
    condition = run.condition("holdout", images=request.images)
    known = evidence.lookup(condition, subnet_keys(run.space(), pairs)).top1
    return bool(np.isfinite(known).all())
