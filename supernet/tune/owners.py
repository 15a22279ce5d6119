"""Whose process is at work on a trial of a study, and whether it still is."""

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as OptunaTrial

__all__ = ["beat", "is_dead", "own"]

_OWNER, _BEAT = "supernet:owner", "supernet:beat"
_STALE_S = 600.0  # without a beat, after which a process of another machine is taken for dead


def own(trial: "OptunaTrial") -> None:
    """Note in a trial that this process is at work on it, so that others can see whether it is."""
    pid = os.getpid()
    trial.set_user_attr(_OWNER, [socket.gethostname(), pid, _started(pid)])
    beat(trial)


def beat(trial: "OptunaTrial") -> None:
    """Note in a trial that its process is still there."""
    trial.set_user_attr(_BEAT, time.time())


def is_dead(trial: "FrozenTrial") -> bool:
    """Whether the process of a running trial is no more, or was not heard of for long."""
    host, pid, started = trial.user_attrs.get(_OWNER, ["", 0, ""])
    if host != socket.gethostname():
        begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        heard = float(trial.user_attrs.get(_BEAT, begun))
        return time.time() - heard > _STALE_S
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _started(pid) != str(started)


def _started(pid: int) -> str:
    """When a process began, in ticks; empty where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123  # not a path of ours
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
