"""What a study is of: what must be the same for going on with it, and what differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError
from supernet.files import read_document, write_document
from supernet.tune.keys import plain
from supernet.tune.load import study_document
from supernet.tune.plan import Plan

__all__ = ["claim_folder", "identity_of", "identity_problems"]

_FILE, _KIND, _VERSION = "identity.json", "study_identity", 1
_MOST = 6  # differences that are told


def identity_of(
    plan: Plan, *, data: str, images: int, seed: int, fingerprint: str = ""
) -> dict[str, Any]:
    """All that the values of trials depend on, as plain values.

    Args:
        plan: the study with its recipe and space.
        data: where the images are from.
        images: to train on.
        seed: of the trainings.
        fingerprint: of the images to train on; empty where they cannot change.
    """
    document = study_document(plan.study)
    del document["name"], document["about"]
    base = plain(plan.recipe, plan.space)
    for part in base.values():
        del part["name"], part["about"]
    found = {"study": document, **base, "data": data, "images": images, "seed": seed}
    return found | ({"fingerprint": fingerprint} if fingerprint else {})


def claim_folder(folder: Path, study: str, mark: str, identity: Mapping[str, Any]) -> None:
    """Note which study a folder is of, or refuse one of another: its trainings are gone on with.

    Args:
        folder: of the study.
        study: its name.
        mark: that it alone has, wherever its storage is reached from.
        identity: as `identity_of`.

    Raises:
        ConfigError: another study lies there.
        FileFormatError: the file that says which was damaged.
    """
    path = folder / _FILE
    now = {"name": study, "mark": mark, "identity": dict(identity)}
    if not path.is_file():
        write_document(path, _KIND, _VERSION, now)
        return
    known = read_document(path, _KIND, _VERSION)
    if known.get("mark") != mark:
        known["mark"] = mark
        different = identity_problems(known, now) or ["the same one, kept in another storage"]
        raise ConfigError(
            [f"{folder} holds another study: {line}" for line in different],
            hint="go on with that one as it was begun, or give another --folder",
        )


def identity_problems(known: Any, now: Any) -> list[str]:
    """One line for each value that was another one when the study was begun."""
    lines = list(_different(known, now, ""))
    more = len(lines) - _MOST
    return lines[:_MOST] + [f"and {more} more differ"] * (more > 0)


def _different(known: Any, now: Any, where: str) -> Any:
    if isinstance(known, Mapping) and isinstance(now, Mapping):
        for key in [*known, *(key for key in now if key not in known)]:
            inner = f"{where}.{key}" if where else str(key)
            if key not in now:
                yield f"{inner} is not there any more"
            elif key not in known:
                yield f"{inner} is new"
            else:
                yield from _different(known[key], now[key], inner)
    elif isinstance(known, list | tuple) and isinstance(now, list | tuple):
        if len(known) == len(now):
            for i, (one, other) in enumerate(zip(known, now)):
                yield from _different(one, other, f"{where}.{i}")
        else:
            yield f"{where} was {list(known)}, is {list(now)}"
    elif known != now:
        yield f"{where} was {known!r}, is {now!r}"
