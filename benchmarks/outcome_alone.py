"""A network of our space without a supernet: chosen by size, trained alone.

What the space gives, so that what the supernet gives can be told from it. The subnet with the most
multiply-adds that takes no longer than the network of others is trained alone from random weights,
as theirs are, for the time of one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from equal_time import STEPS, fastest
from outcome_nets import described, file_top1, in_steps, rival_turn, train_alone, write_file
from outcome_ours import loadable, within
from resumable import Row, Rows
from torch import nn

from supernet.cli.output import progress_bar
from supernet.data import Dataset
from supernet.latency import LatencyTable, Protocol, measure
from supernet.models import Supernet, extract
from supernet.space import Genes, Space, Subnet, decode, encode
from supernet.train import Recipe
from supernet.workflow.largest import search_by_size

__all__ = ["Alone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """The network for one latency."""

    space: Space
    table: LatencyTable
    rows: Rows
    name: str
    """Of the network of others."""
    limit_ms: float
    """Of the table's prediction, to begin with."""
    recipes: Mapping[str, Recipe]
    """The same one in some precisions; the fastest is taken."""
    seconds: float
    rounds: int
    device: str

    def found(self, file: Path) -> Subnet:
        """The largest that is measured as no slower than a file, chosen once."""

        def made() -> Row:
            result = search_by_size(self.space, {self.table.target: self.table})
            limits, files = {self.name: self.limit_ms}, {self.name: file}
            subnet = within(result, self.table, limits, files)[self.name]
            return {"genes": encode(self.space, [subnet])[0].tolist(), "subnet": str(subnet)}

        genes: Genes = np.array([self.rows.get("alone found", made)["genes"]], dtype=np.int8)
        return decode(self.space, genes)[0]

    def trained(self, dataset: Dataset, seed: int, theirs: Path) -> Row:
        """Its accuracy, and its latency beside that of theirs, both measured in turn."""
        subnet = self.found(theirs)
        costs = self.rows.get("alone costs", lambda: self._costs(subnet, dataset))
        how = min(self.recipes, key=lambda name: float(costs[name]))
        steps = max(1, round(self.seconds / costs[how]))
        network, recipe = self._network(subnet, seed), self.recipes[how]
        with progress_bar() as progress:
            train_alone(
                network,
                dataset,
                subnet.resolution,
                in_steps(recipe, len(dataset.train), steps),
                seed=seed,
                device=self.device,
                progress=progress,
            )
        path = self.rows.folder / f"alone-{seed}" / f"{subnet.key}.onnx"
        write_file(network, path, subnet.resolution)
        ms = [t.ms for t in measure([loadable(path), loadable(theirs)], Protocol(rounds=20))]
        return {
            "subnet": str(subnet),
            "steps": steps,
            "counted_s": steps * costs[how],
            "test_top1": file_top1(path, dataset),
            "ms": ms[0],
            "ms_theirs": ms[1],
            **described(recipe),
        }

    def _costs(self, subnet: Subnet, dataset: Dataset) -> dict[str, Any]:
        """Seconds of a step by recipe."""
        turns = {
            name: rival_turn(
                self._network(subnet, 0), dataset, subnet.resolution, recipe, STEPS, self.device
            )
            for name, recipe in self.recipes.items()
        }
        found = fastest(turns, self.rounds)
        return {name: float(np.mean(times)) for name, times in found.items()}

    def _network(self, subnet: Subnet, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = extract(Supernet(self.space), subnet)
        changed: nn.Module = network.to(memory_format=torch.channels_last)
        return changed.to(self.device)
