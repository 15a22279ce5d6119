"""Actors of Ray that measure, on this machine or on all of a cluster (extra: ray)."""

from collections.abc import Callable, Sequence
from typing import Any

from supernet.errors import ConfigError
from supernet.evaluate.pool import Measures, Pool
from supernet.evaluate.ray_cluster import Cluster
from supernet.evaluate.task import Evaluation, EvaluationTask

__all__ = ["RayActors"]


class RayActors(Pool):
    """Actors that measure at the same time, a processor for each, and a GPU where there are some.

    They share the threads of this process, or of the cluster. What makes the evaluator, and
    what it reads, must be the same on all nodes.

    Args:
        makes: the evaluator of each actor; must be picklable, and is called once there.
        device: where they measure; anything but ``cpu`` takes GPUs.
        address: of a running cluster (see `Cluster`); else one is started here.

    Raises:
        MissingPackageError: Ray is not installed.
        ConfigError: no cluster at the address, one that is too small, or has no GPU.
    """

    def __init__(
        self, makes: Sequence[Callable[[], Measures]], *, device: str = "cpu", address: str = ""
    ) -> None:
        super().__init__(makes)
        self._device, self._address = device, address
        self._cluster: Cluster | None = self._joined()

    def _start(self, make: Callable[[], Measures]) -> "_Remote":
        import torch

        with self._changed:
            self._cluster = cluster = self._cluster or self._joined()
        threads = max(1, min(torch.get_num_threads(), cluster.cpus // self.slots))
        gpus = 0.0 if self._device == "cpu" else cluster.share(self.slots)
        return _Remote(cluster.ray, make, threads, gpus)

    def _leave(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster:
            cluster.leave()

    def _joined(self) -> Cluster:
        cluster = Cluster(self._address, self.slots)
        if self._device.startswith("cuda") and not cluster.gpus:
            cluster.leave()
            raise ConfigError(
                f"device: {self._device} was asked for, and the Ray cluster has no GPU",
                hint="--device cpu",
            )
        return cluster


class _Remote:
    """One actor, from here."""

    def __init__(self, ray: Any, make: Callable[[], Measures], threads: int, gpus: float) -> None:
        self._ray, self.alive = ray, True
        kind = ray.remote(num_cpus=1, num_gpus=gpus, scheduling_strategy="SPREAD")(_Actor)
        self._actor = kind.remote(make, threads)

    def answer(self, task: EvaluationTask) -> Any:
        """As `Worker.answer`.

        Raises:
            ConfigError: the actor cannot start on its node.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(self._actor.evaluate.remote(task))
        except errors.RayTaskError:  # of Ray itself: the actor gives errors back as results
            raise
        except errors.RayError as error:
            self.alive = False
            if getattr(error, "actor_init_failed", False):
                raise _unable(error) from None
            return None

    def stop(self) -> None:
        """As `Worker.stop`."""
        self._ray.kill(self._actor)

    def end(self) -> None:
        """As `Worker.end`."""
        if self.alive:
            self._ray.kill(self._actor)
        self.alive = False


class _Actor:
    """The same, on its node."""

    def __init__(self, make: Callable[[], Measures], threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._make = make
        self._evaluator: Measures | None = None

    def evaluate(self, task: EvaluationTask) -> Evaluation | Exception:
        """Measure one subnet, or give back what went wrong."""
        try:
            self._evaluator = self._evaluator or self._make()
            return self._evaluator.evaluate(task)
        except Exception as error:  # noqa: BLE001  # whatever it is, the driver raises it
            return error


def _unable(error: Exception) -> ConfigError:
    *_, last = str(error).strip().splitlines()
    return ConfigError(
        f"an actor of Ray could not start: {last.strip()[:300]}",
        hint="every node needs the same Python, supernet, and packages",
    )
