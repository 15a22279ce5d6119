"""What Ray tells of actors that ended (seen with Ray 2.60) becomes a line."""

import pytest

from supernet.evaluate.ray_deaths import how_died

ACTOR = """The actor died unexpectedly before finishing this task.
\tclass_name: A
\tactor_id: 1500dc9213865b233cfc66b501000000
\tpid: 7102
\tnamespace: 85de2f32-2194-4611-8b73-85d94c853bc6
\tip: 10.0.0.2
The actor is dead because """
CRASHED = """its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: \
Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: \
(1) the process was killed by the OOM killer due to high memory usage, (2) ray stop --force was \
called, or (3) the worker crashed unexpectedly due to SIGSEGV or another unexpected error."""
ENDED = """its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker \
exits unexpectedly. Worker exits with an exit code 1. The process receives a SIGTERM."""
MEMORY = """1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: \
10.0.0.2, ID: 2a615c17d4787232) was 22.60GB used / 23.54GB limit (0.96)
OOM kill reason: Memory usage exceeded threshold"""
UNAVAILABLE = """The actor a13f5613dc6083a7 is unavailable: The actor is temporarily unavailable: \
RpcError: RPC error: Socket closed rpc_code: 14. The task may or may not have been executed."""
UNREADABLE = """The actor died because of an error raised in its creation task, ray::A.__init__()
  File "a.py", line 1, in <module>
ModuleNotFoundError: No module named 'own'
"""


PROCESS = "its actor (process 7102 on 10.0.0.2) was "


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (ACTOR + CRASHED, f"{PROCESS}killed or crashed; Ray does not learn by which signal"),
        (ACTOR + ENDED, f"{PROCESS}ended by SIGTERM: somebody ended it"),
        (ACTOR + "it was killed by `ray.kill`.", f"{PROCESS}ended by `ray.kill`: by another"),
        (ACTOR + "its node has died. Node Id: 9c", "the node of its actor died or cannot be"),
        (UNAVAILABLE, "the node of its actor died or cannot be reached: `ray status` shows"),
        (
            MEMORY,
            "Ray ended its actor, since the node 10.0.0.2 was short of memory (22.60GB of 23.54GB "
            "in use): fewer --workers",
        ),
        (UNREADABLE, "its actor ended: ModuleNotFoundError: No module named 'own'"),
        ("", "its actor ended: Ray gives no reason"),
    ],
)
def test_it_is_told_who_ended_an_actor(told: str, line: str) -> None:
    found = how_died(told)
    assert found.startswith(line)
    assert "\n" not in found
