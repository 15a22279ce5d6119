"""Saved searches: where they lie, one by its name, and its subnets as files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.runs import Run, find_run
from supernet.search import SavedResult, load_result, result_folders
from supernet.space import SubnetFile
from supernet.workflow.confirm import Confirmed
from supernet.workflow.search import SEARCHES

__all__ = ["Place", "figures_of", "find_result", "picked_file", "result_places"]


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with results below it."""

    folder: Path
    run: Run | None = None
    """That it belongs to."""

    def folders(self) -> list[Path]:
        """Those of the results, the oldest first."""
        return result_folders(self.folder)


def result_places(run: Path | None = None, results: Path | None = None) -> list[Place]:
    """Where results are looked for.

    Args:
        run: a run folder.
        results: a folder of results without a run. When neither is given: the newest run
            below ``runs/`` and ``searches/``, those that there are.

    Raises:
        ConfigError: no such folder, or both were given.
    """
    if run is not None and results is not None:
        raise ConfigError("give one of a run and a folder of results")
    if results is not None:
        if not results.is_dir():
            raise ConfigError(f"{results}: no such folder")
        return [Place(results)]
    if run is not None:
        found = find_run(run)
        return [Place(found.searches, found)]
    places = [Place(SEARCHES)] if SEARCHES.is_dir() else []
    try:
        newest = find_run(None)
    except ConfigError:
        return places
    return [Place(newest.searches, newest), *places]


def find_result(name: str, places: Sequence[Place]) -> tuple[SavedResult, Run | None]:
    """The result of a name, or in a folder, and its run.

    Raises:
        ConfigError: there is none, or there are two; lists what there is.
        FileFormatError: it is damaged.
    """
    found = [(path, place.run) for place in places for path in place.folders() if path.name == name]
    own = Path(name)
    if not found and (own / "result.json").is_file():
        parent = own.resolve().parent.parent
        found = [(own, Run(parent) if (parent / "config.yaml").is_file() else None)]
    if len(found) == 1:
        return load_result(found[0][0]), found[0][1]
    if found:
        where = " and ".join(str(path.parent) for path, _ in found)
        raise ConfigError(f"{name[:60]!r} lies in {where}", hint="say which by --run or --results")
    names = [path.name for place in places for path in place.folders()]
    where = " and ".join(str(place.folder) for place in places)
    raise ConfigError(
        f"no result {name[:60]!r} in {where or 'any run'}; {nearest(name, names)}",
        hint="another run's by --run" if names else "make one with `supernet search`",
    )


def figures_of(saved: SavedResult, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is predicted and what was measured of a scored subnet, as in a ``subnet.json``."""
    figures = saved.result.figures(index)
    names = [name for name in saved.result.problem.measures if name in figures]
    measured: dict[str, Any] = {name: figures.pop(name) for name in names}
    found: dict[str, Any] = {}
    if "top1" in figures:
        found["top1"] = figures.pop("top1")
        if saved.predictor and saved.predictor.rmse is not None:
            found["top1_rmse"] = saved.predictor.rmse
    axes = saved.result.problem.axes
    latencies = [axis for axis in axes if axis.target and axis.name in figures]
    features = bool(saved.request.get("features"))
    key = "latency_ms"
    if features:  # what was searched for is the latency of the backbone
        key = f"features_{key}"
        found["features"] = saved.request["features"]
        found |= {"features_size": size} if (size := saved.request.get("size")) else {}
    for number, axis in enumerate(latencies):
        if number == 0:
            found |= {"target": axis.target, key: figures.pop(axis.name)}
        else:
            found[f"{key}@{axis.target}"] = figures.pop(axis.name)
    targets = [axis.target for axis in latencies]
    for one in saved.measured:
        if one.index == index:
            own = Confirmed(index=index, measured=one.figures, within=one.within)
            measured |= own.told(targets, of_features=features)
    return found | figures, measured


def picked_file(saved: SavedResult, index: int, path: Path, run: Run | None = None) -> SubnetFile:
    """Write a scored subnet of a result as a ``subnet.json``.

    Args:
        saved: the result.
        index: of the subnet.
        path: to write.
        run: whose weights it has.

    Raises:
        StorageError: it cannot be written.
    """
    predicted, measured = figures_of(saved, index)
    file = SubnetFile.of(
        saved.result.problem.space,
        saved.result.subnet(index),
        checkpoint=run.checkpoint(path.resolve().parent) if run else None,
        predicted=predicted,
        measured=measured,
    )
    file.save(path)
    return file
