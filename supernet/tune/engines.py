"""The engine that a study runs on, by name, and what goes with it."""

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.workflow.engines import DEFAULT_ENGINE
from supernet.workflow.request import RAY_TUNE

__all__ = ["ENGINES", "check_engine", "pruner_of"]

ENGINES = (DEFAULT_ENGINE, RAY_TUNE)
"""``processes``: this one, or several; ``ray-tune``: actors, as Ray Tune schedules them."""

_PRUNERS = {DEFAULT_ENGINE: "median", RAY_TUNE: "asha"}
_OF_TUNE = {"sampler": ("tpe",), "pruner": ("asha", "none")}


def pruner_of(engine: str) -> str:
    """The pruner of an engine when none is given."""
    return _PRUNERS.get(engine, "")


def check_engine(engine: str, *, sampler: str, pruner: str, storage: str, address: str) -> None:
    """Refuse an engine that is not known, and what an engine cannot do.

    Args:
        engine: its name.
        sampler: who proposes.
        pruner: who gives trials up.
        storage: of the study; empty where none is given.
        address: of a Ray cluster; empty where none is given.

    Raises:
        ConfigError: one line for each.
    """
    if engine not in ENGINES:
        raise ConfigError(f"unknown engine {engine[:60]!r}; {nearest(engine, ENGINES)}")
    if engine != RAY_TUNE:
        if address:
            problem = f"ray_address: the engine {engine} joins no cluster"
            raise ConfigError(problem, hint=f"--engine {RAY_TUNE}")
        return
    found = []
    for kind, name in (("sampler", sampler), ("pruner", pruner)):
        if name not in _OF_TUNE[kind]:
            known = " or ".join(_OF_TUNE[kind])
            found.append(f"{kind}: with the engine {RAY_TUNE} only {known}, found {name}")
    if storage:
        found.append(f"storage: the study of {RAY_TUNE} is kept in its folder; leave it out")
    if found:
        raise ConfigError(found)
