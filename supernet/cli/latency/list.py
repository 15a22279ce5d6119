"""`supernet latency list`: the same as `supernet targets`."""

from supernet.cli.targets import command

__all__ = ["command"]
