"""A line from a thread to the one that started it: what is asked there is answered here."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from supernet.tune.contract import Outcome, Report, Task

__all__ = ["Line"]

_LOOK_S = 5.0  # between calls of `idle`
_DRAIN_S = 0.05


class Line:
    """What a study and another's loop over its trials say to each other.

    The loop runs in a thread of its own, the study stays in this one. So errors of the study
    and Ctrl-C are raised here, whatever the loop would have made of them.

    Args:
        loop: asks and tells by `ask`, until `over`.
    """

    def __init__(self, loop: Callable[["Line"], None]) -> None:
        self._loop = loop
        self._calls: queue.Queue[tuple[str, Any, queue.Queue[Any]]] = queue.Queue()
        self._unanswered: list[queue.Queue[Any]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.over = False
        """Whether the loop is to end; whatever it asks then is answered by None."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: whoever writes down what holds a line cannot go on with it."""
        return {}

    def ask(self, what: str, told: Any = None) -> Any:
        """What is answered here; called by the loop.

        Args:
            what: ``following`` for the next task; ``report``, ``outcome`` or ``error``.
            told: with it.
        """
        if self.over:
            return None
        answer: queue.Queue[Any] = queue.Queue()
        self._calls.put((what, told, answer))
        return answer.get()

    def outcomes(
        self,
        following: Callable[[], Task | None],
        report: Callable[[Report], bool],
        idle: Callable[[], None],
    ) -> Iterator[Outcome]:
        """Answer the loop until it ends; each outcome as it is told.

        Args:
            following: the next task.
            report: takes a report in.
            idle: called now and then.
        """
        self._thread.start()
        try:
            while True:
                idle()
                try:
                    what, told, answer = self._calls.get(timeout=_LOOK_S)
                except queue.Empty:
                    continue
                self._unanswered.append(answer)
                if what == "end":
                    return
                if what == "error":
                    raise told
                found: Any = None
                if what == "outcome":
                    yield told
                else:
                    found = report(told) if what == "report" else following()
                self._unanswered.pop().put(found)
        finally:
            self.leave()

    def leave(self) -> None:
        """Have the loop end, and wait until it has."""
        self.over = True
        while self._unanswered:
            self._unanswered.pop().put(None)
        while self._thread.is_alive():
            try:
                *_, answer = self._calls.get(timeout=_DRAIN_S)
            except queue.Empty:
                continue
            answer.put(None)

    def _run(self) -> None:
        nobody: queue.Queue[Any] = queue.Queue()
        try:
            self._loop(self)
        except Exception as error:  # noqa: BLE001  # raised where it is heard
            self._calls.put(("error", error, nobody))
        else:
            self._calls.put(("end", None, nobody))
