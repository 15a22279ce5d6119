"""By which algorithm a request is searched, and what its study is of."""

from collections.abc import Mapping
from dataclasses import replace

from supernet.files import sha256
from supernet.runs import Run
from supernet.search.algorithms.optuna_study import StudyPlace
from supernet.search.contract import Factory
from supernet.search.registry import check_ladder_given, factory_of, usual
from supernet.space import Domain, Space
from supernet.studies import Storage
from supernet.workflow.ray_tune import check_tune
from supernet.workflow.request import RAY_TUNE, SearchRequest

__all__ = ["factory_for", "measured_if_few", "shared_by", "with_algorithm"]


def measured_if_few(run: Run, request: SearchRequest) -> SearchRequest:
    """`request`, with every accuracy measured where a predictor would learn from all there are."""
    known = request.predictor is not None or run.imported_predictor.is_file()
    if known or request.measures or request.certify or not run.config().data:
        return request
    count = Domain.of(run.space(), request.fix).count
    if count > request.pairs:
        return request
    request = replace(request, measure=True)
    if request.storage or 0 < request.budget < count:
        return request
    return replace(request, algorithm=request.algorithm or "grid")


def with_algorithm(request: SearchRequest, space: Space) -> SearchRequest:
    """`request` with the name of its algorithm: that which suits where none is named.

    Raises:
        ConfigError: no such algorithm; one that cannot search so, or keep a study there.
        MissingPackageError: it needs a package that is not there.
        StorageError: the storage cannot be reached.
    """
    if request.engine == RAY_TUNE:
        check_tune()
        return replace(request, algorithm=RAY_TUNE)
    climbs = len(request.ladder) > 1
    domain, budget = Domain.of(space, request.fix), request.budget or None
    name = request.algorithm or usual(
        domain,
        budget,
        request.seconds,
        measures=request.measures,
        climbs=climbs,
        shared=bool(request.storage),
    )
    request = replace(request, algorithm=name)
    check_ladder_given(name, climbs=request.measures)
    factory_for(request)
    if request.storage:
        Storage(request.storage).open()
    return request


def factory_for(
    request: SearchRequest, about: Mapping[str, str] | None = None, *, goes_on: bool = False
) -> Factory:
    """What makes the algorithm of a request.

    Args:
        request: that names one.
        about: what decides a measured accuracy, see `shared_by`.
        goes_on: the search was stopped before.
    """
    place = None
    if request.storage:
        storage = Storage(request.storage)
        place = StudyPlace(storage, request.study, about=about or {}, goes_on=goes_on)
    return factory_of(request.algorithm, place)


def shared_by(run: Run | None, request: SearchRequest) -> dict[str, str]:
    """What decides a measured accuracy, beside the subnet: the same for all who share a study."""
    if run is None or not request.measures:
        return {}
    images = f"{request.images or 'all'} of {(run.condition('holdout').fingerprint or '')[:8]}"
    weights = sha256(run.weights())[:16]
    return {"weights": weights, "images": images, "precision": request.precision}
