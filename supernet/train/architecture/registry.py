"""The methods of searching by gradient, by name."""

from collections.abc import Mapping
from dataclasses import dataclass

from supernet.train.architecture.contract import MethodFactory
from supernet.train.architecture.proxyless import Proxyless
from supernet.train.architecture.proxyless_reinforce import ProxylessReinforce
from supernet.train.architecture.tunas import TuNAS
from supernet.train.search_phase import MethodName

__all__ = ["METHODS", "MethodInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodInfo:
    """One method."""

    about: str
    """One line, with the source."""
    factory: MethodFactory


METHODS: Mapping[MethodName, MethodInfo] = {
    "proxyless": MethodInfo(
        about="ProxylessNAS by gradient, two paths (arXiv:1812.00332)", factory=Proxyless
    ),
    "proxyless_reinforce": MethodInfo(
        about="ProxylessNAS by REINFORCE (arXiv:1812.00332)", factory=ProxylessReinforce
    ),
    "tunas": MethodInfo(about="TuNAS, absolute reward (arXiv:2008.06120)", factory=TuNAS),
}
"""As a recipe names them."""
