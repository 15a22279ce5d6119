"""Actors of Ray that measure, on this machine or on all of a cluster (extra: ray)."""

import time
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from supernet.errors import ConfigError
from supernet.evaluate.pool import Killed, Measures, Pool
from supernet.evaluate.ray_cluster import Cluster
from supernet.evaluate.ray_deaths import how_died
from supernet.evaluate.task import Evaluation, EvaluationTask
from supernet.progress import Progress, note, silent

__all__ = ["RayActors"]

_STARTS, _PAUSE_S = 10, 3.0  # of an actor whose nodes die; Ray notices that within 15 s
_PATIENCE_S = 10.0  # between looks whether the cluster has a processor for each of our actors


_TOLD = 8  # characters of the name of a node
_living: "weakref.WeakSet[_Remote]" = weakref.WeakSet()  # of this process, also of other engines


class RayActors(Pool):
    """Actors that measure at the same time, a processor for each, and a GPU where there are some.

    They share the threads of this process, or of the cluster. What makes the evaluator, and
    what it reads, must be the same on all nodes.

    Args:
        makes: the evaluator of each actor; must be picklable, and is called once there.
        device: where they measure; anything but ``cpu`` takes GPUs.
        address: of a running cluster (see `Cluster`); else one is started here.
        progress: told at the end how much each node has measured, where there were several.

    Raises:
        MissingPackageError: Ray is not installed.
        ConfigError: no cluster at the address, one that is too small, or has no GPU.
    """

    def __init__(
        self,
        makes: Sequence[Callable[[], Measures]],
        *,
        device: str = "cpu",
        address: str = "",
        progress: Progress = silent,
    ) -> None:
        super().__init__(makes)
        self._device, self._address, self._progress = device, address, progress
        self._measured: Counter[str] = Counter()  # by node
        self._cluster: Cluster | None = self._joined()

    def _start(self, make: Callable[[], Measures]) -> "_Remote":
        import torch

        with self._changed:
            self._cluster = cluster = self._cluster or self._joined()
        threads = max(1, min(torch.get_num_threads(), cluster.cpus // self.slots))
        uses_gpu = self._device != "cpu"
        return _Remote(cluster, make, threads, self.slots, uses_gpu=uses_gpu, noted=self._note)

    def _note(self, node: str) -> None:
        with self._changed:
            self._measured[node] += 1

    def _leave(self) -> None:
        nodes = [f"{node} {count}" for node, count in sorted(self._measured.items())]
        if len(nodes) > 1:
            note(self._progress, f"subnets measured on each node of Ray: {', '.join(nodes)}")
        self._measured.clear()
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
    """One actor, from here.

    Args:
        cluster: that it runs on.
        make: as of `RayActors`.
        threads: of torch.
        actors: that there are in all.
        uses_gpu: whether it takes its share of the GPUs.
        noted: told after each measurement on which node it was.
    """

    def __init__(
        self,
        cluster: Cluster,
        make: Callable[[], Measures],
        threads: int,
        actors: int,
        *,
        uses_gpu: bool,
        noted: Callable[[str], None],
    ) -> None:
        self._cluster, self._ray = cluster, cluster.ray
        self._told, self._actors, self._uses_gpu = (make, threads), actors, uses_gpu
        self.alive, self._stopped = True, False
        self._noted, self._node = noted, ""
        _living.add(self)
        self._begin(cpus=1)

    def answer(self, task: EvaluationTask) -> Any:
        """As `Worker.answer`.

        Raises:
            ConfigError: the actor cannot start on its node.
        """
        errors = self._ray.exceptions
        try:
            self._wait_until_ready()
            answer = self._ray.get(self._actor.evaluate.remote(task))
        except errors.RayTaskError:  # of Ray itself: the actor gives errors back as results
            raise
        except errors.RayError as error:
            self._die()
            if getattr(error, "actor_init_failed", False):
                raise _unable(error) from None
            return Killed(how_died(str(error)))
        if isinstance(answer, Evaluation):
            self._noted(self._node)
        return answer

    def _die(self) -> None:
        self.alive = False
        _living.discard(self)

    def _begin(self, cpus: int) -> None:
        gpus = self._cluster.share(self._actors) if self._uses_gpu else 0.0
        kind = self._ray.remote(num_cpus=cpus, num_gpus=gpus, scheduling_strategy="SPREAD")(_Actor)
        self._actor = kind.remote(*self._told)
        self._ready = self._actor.ready.remote()

    def _wait_until_ready(self) -> None:
        """Until it runs somewhere.

        If nodes were lost, or another engine of this process has the processors, on one that
        another actor has; one that was placed on a node
        which has just died begins elsewhere, and its task was not tried.
        """
        for _ in range(_STARTS):
            while not self._ray.wait([self._ready], timeout=_PATIENCE_S)[0]:
                if self._cluster.cpus < len(_living) and not self._stopped:
                    self._ray.kill(self._actor)
                    self._begin(cpus=0)
            try:
                self._node = self._ray.get(self._ready)
            except self._ray.exceptions.RayActorError as error:
                if error.actor_init_failed or self._stopped:
                    raise
            else:
                return
            time.sleep(_PAUSE_S)
            self._begin(cpus=1)

    def stop(self) -> None:
        """As `Worker.stop`."""
        self._stopped = True
        self._ray.kill(self._actor)

    def end(self) -> None:
        """As `Worker.end`."""
        if self.alive:
            self._ray.kill(self._actor)
        self._die()


class _Actor:
    """The same, on its node."""

    def __init__(self, make: Callable[[], Measures], threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._make = make
        self._evaluator: Measures | None = None

    def ready(self) -> str:
        """Answer as soon as it runs: on which node, by its address and the start of its name."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        return f"{ray.util.get_node_ip_address()} ({node[:_TOLD]})"

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
