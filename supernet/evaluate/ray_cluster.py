"""The Ray cluster that something runs on: one that is there, or one of this machine alone."""

import contextlib
import os
import shutil
import socket
import tempfile
from typing import Any

from supernet.errors import ConfigError, MissingPackageError

__all__ = ["Cluster", "load_ray", "starts_here"]

_OBJECTS_BYTES = 100 << 20  # tasks and results are small; Ray would take a third of the memory
_KNOCK_S = 5.0
_LONGEST = 40  # characters of a folder in which the paths of sockets still fit
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns that this will be the default
}


def load_ray() -> Any:
    """The package, which tells nobody that it is used.

    Raises:
        MissingPackageError: it is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise MissingPackageError(
            "the engines ray and ray-tune need the package ray, which is not installed",
            hint="pip install 'supernet[ray]'",
        ) from None
    return ray


def starts_here(address: str) -> bool:
    """Whether a `Cluster` would start one on this machine.

    Args:
        address: as of `Cluster`.
    """
    runs = load_ray().is_initialized()
    return not (runs or address or os.environ.get("RAY_ADDRESS"))


class Cluster:
    """What actors run on.

    Ray that runs in this process already is taken as it is. Else the cluster at an address is
    joined, and left again; without an address one is started, which ends with `leave`.

    Args:
        address: ``HOST:PORT`` of the head of a running cluster, or ``auto`` for that of this
            machine; ``RAY_ADDRESS`` of the environment when empty.
        actors: that will run at the same time.

    Raises:
        MissingPackageError: Ray is not installed.
        ConfigError: no cluster at the address, or one that is too small.
    """

    def __init__(self, address: str, actors: int) -> None:
        self.ray = load_ray()
        self._folder, self._joined = "", False
        if not self.ray.is_initialized():
            self._join(address or os.environ.get("RAY_ADDRESS", ""), actors)
        if (cpus := self.cpus) < actors:
            self.leave()
            raise ConfigError(
                f"workers: {actors} actors need a processor each, the Ray cluster has {cpus}",
                hint=f"--workers {max(1, cpus)}",
            )

    @property
    def cpus(self) -> int:
        """Processors of the nodes that are there now."""
        return int(self.ray.cluster_resources().get("CPU", 0))

    @property
    def gpus(self) -> int:
        """GPUs of these nodes."""
        return int(self.ray.cluster_resources().get("GPU", 0))

    def share(self, actors: int) -> float:
        """GPUs for each of some actors: one, a part of one, or none."""
        gpus = self.gpus
        return 1 / -(-actors // gpus) if gpus else 0.0

    def leave(self) -> None:
        """Disconnect; a cluster that was started here ends, and its files go."""
        if self._joined:
            self.ray.shutdown()
            self._joined = False
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    def _join(self, address: str, actors: int) -> None:
        quiet = {"logging_level": "ERROR", "log_to_driver": False}
        self._joined = True
        try:
            if address:
                _knock(address)
                self.ray.init(address=address, **quiet)
                return
            short = len(tempfile.gettempdir()) <= _LONGEST
            self._folder = tempfile.mkdtemp(prefix="ray-", dir=None if short else "/tmp")  # noqa: S108  # mkdtemp makes it ours
            self.ray.init(
                address="local",
                num_cpus=max(actors, os.cpu_count() or 1),
                include_dashboard=False,
                object_store_memory=_OBJECTS_BYTES,
                _temp_dir=self._folder,
                **quiet,
            )
        except Exception as error:  # noqa: BLE001  # a node that starts too slowly is a bare one
            self._abandon(error, address)
        except BaseException:  # Ctrl-C
            self.leave()
            raise

    def _abandon(self, error: Exception, address: str) -> None:
        """Undo a start that failed.

        Raises:
            ConfigError: always; with the reason.
        """
        with contextlib.suppress(Exception):
            self.leave()
        line = " ".join(str(error).split())[:300]
        if address:
            raise ConfigError(
                f"ray_address: no Ray cluster could be joined at {address}: {line}",
                hint="start one with `ray start --head`; one that asks for a token needs "
                "RAY_AUTH_MODE=token here too",
            ) from error
        raise ConfigError(f"Ray did not start here: {line}") from error


def _knock(address: str) -> None:
    """Whether somebody listens there: Ray would wait for minutes.

    Raises:
        OSError: nobody does.
        ValueError: it is no address.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdecimal()):
        raise ValueError(f"expected HOST:PORT or auto, found {address[:60]!r}")
    socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()
