"""Objectives, limits, algorithms and the Pareto front."""

from supernet.search.evolution import (
    Evolution,
    Found,
    Latency,
    check_limit,
    random_of_latency,
    search,
)
from supernet.search.pareto import crowding, front_rank, pareto_front

__all__ = [
    "Evolution",
    "Found",
    "Latency",
    "check_limit",
    "crowding",
    "front_rank",
    "pareto_front",
    "random_of_latency",
    "search",
]
