"""How an actor of Ray ended, in a line: what Ray tells of it are pages."""

import re

__all__ = ["how_died"]

_PROCESS = re.compile(r"^\s*pid: (\d+)$", re.MULTILINE)
_NODE = re.compile(r"^\s*ip: (\S+)$", re.MULTILINE)
_MEMORY = re.compile(r"node \(IP: ([^,)]+).*?was ([\d.]+ ?GB)(?: used)? / ([\d.]+ ?GB)", re.DOTALL)
_LONGEST = 200


def how_died(told: str) -> str:
    """Who or what ended an actor, as far as Ray knows, and the way out.

    Args:
        told: text of Ray's error.
    """
    if "low on memory" in told:
        found = _MEMORY.search(told)
        node, used = (f" {found[1]}", f" ({found[2]} of {found[3]} in use)") if found else ("", "")
        return (
            f"Ray ended its actor, since the node{node} was short of memory{used}: fewer --workers "
            "leave more to each"
        )
    if "node has died" in told or "unavailable" in told:
        return "the node of its actor died or cannot be reached: `ray status` shows which are left"
    actor = f"its actor{_where(told)}"
    if "SIGTERM" in told:
        return f"{actor} was ended by SIGTERM: somebody ended it, or its node"
    if "killed by `ray.kill`" in told:
        return f"{actor} was ended by `ray.kill`: by another program on the cluster"
    if "worker process has died" in told:
        return (
            f"{actor} was killed or crashed; Ray does not learn by which signal: for want of "
            "memory (`dmesg` on the node tells; fewer --workers leave more to each), by somebody, "
            "or by a fault of a library"
        )
    *_, last = ("Ray gives no reason", *filter(None, map(str.strip, told.splitlines())))
    return f"{actor} ended: {last[:_LONGEST]}"


def _where(told: str) -> str:
    process, node = _PROCESS.search(told), _NODE.search(told)
    if not (process and node):
        return ""
    return f" (process {process[1]} on {node[1]})"
