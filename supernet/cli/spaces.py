"""`supernet spaces`: what can be searched."""

import itertools
import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from supernet.cli import options
from supernet.cli.catalogue import CatalogueGroup
from supernet.cli.output import print_json, print_table
from supernet.cli.spaces_from import from_network
from supernet.cli.spaces_largest import largest_network
from supernet.cli.spaces_subnet import published_file

if TYPE_CHECKING:
    from supernet.space import Space, SpaceRanges, Stage, Stem

_NUMBERS = ("width", "depth", "start", "kernel", "expand", "heads", "key_size", "stride")
_KINDS = ("block", "act", "se", "gate", "shortcut", "shared", "group_width", "reduction")
_Cells = dict[str, str]
"""A row of the table by column; ``""`` is what the row is about."""


@click.group(
    "spaces",
    cls=CatalogueGroup,
    thing="space",
    epilog="Examples:  supernet spaces  |  supernet spaces show demo  |  "
    "supernet spaces show my.yaml  |  supernet spaces from torchvision:resnet18 -o space.yaml",
)
@options.common
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the search spaces with the number and the sizes of their subnets."""
    ctx.obj = as_json  # `spaces --json show NAME` means `spaces show NAME --json`
    if ctx.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    from supernet.space import list_spaces, load_space, space_ranges

    found = [(space, space_ranges(space)) for space in map(load_space, list_spaces())]
    if as_json:
        spaces = [
            {"name": space.name, "about": space.about, **ranges.as_dict()}
            for space, ranges in found
        ]
        print_json({"spaces": spaces})
        return
    print_table(
        "Search spaces",
        [
            [
                space.name,
                _choices(space.resolutions),
                f"{ranges.subnets:.2g}",
                _range(ranges.macs, 1),
                _range(ranges.params, 2),
            ]
            for space, ranges in found
        ],
        ["name", "resolutions", "subnets", "M MACs", "M parameters"],
    )
    click.echo("\nstages and source of one: supernet spaces show NAME")


command.add_command(from_network)
command.add_command(largest_network)
command.add_command(published_file)


@command.command("show", epilog="Examples:  supernet spaces show demo  |  show my.yaml --json")
@click.argument("name")
@options.common
@click.pass_obj
def show(json_before: bool, name: str, as_json: bool) -> None:
    """Show all choices of one space: NAME of a shipped one, or a YAML file."""
    from dataclasses import asdict

    from supernet.space import load_space, space_ranges

    space = load_space(name)
    ranges = space_ranges(space)
    if as_json or json_before:
        known = {} if space.cells is None else {"published": _published(space)}
        print_json({**asdict(space), "hash": space.hash, **ranges.as_dict(), **known})
        return
    rows = [*_stem(space.stem), *_stages(space.stages), *_head(space)]
    common = _common(rows)
    kinds = [column for column in _KINDS if column not in common]
    title = f"{space.name}: {space.about}" if space.about else space.name
    for columns in _fitting(rows, _NUMBERS, kinds):
        shown = [row for row in rows if any(row.get(column) for column in columns)]
        cells = [[row.get(column, "") for column in ("", *columns)] for row in shown]
        print_table(title, cells, ["", *columns])
        title = ""
    everywhere = "; ".join(f"{column} {value}" for column, value in common.items() if value)
    click.echo(f"\neverywhere: {everywhere}" if everywhere else "")
    click.echo("\n".join([*_cells(space), *_facts(space, ranges)]))


def _stem(stem: "Stem") -> Iterator[_Cells]:
    own = {"kernel": str(stem.kernel), "act": stem.act}
    yield {"": "stem", **own, "width": _choices(stem.width), "stride": str(stem.stride)}
    if any(stem.depth):
        yield {"": "stem residual", **own, "depth": _choices(stem.depth)}
    if stem.out:
        yield {"": "stem out", **own, "width": _choices(stem.out)}
    if stem.maxpool:
        yield {"": "stem maxpool", "kernel": "3", "stride": "2"}


def _stages(stages: Sequence["Stage"]) -> Iterator[_Cells]:
    from supernet.space.stage import EXPANDING

    for number, stage in enumerate(stages, start=1):
        of_input = " of in" if stage.se_of == "in" else ""
        yield {
            "": f"stage {number}",
            "width": _choices(stage.width),
            "depth": _choices(stage.depth),
            "start": _choices(stage.start) if any(stage.start) else "",
            "kernel": _choices(stage.kernel) if stage.reduction > 1 or not any(stage.heads) else "",
            "expand": _choices(stage.expand) if set(stage.block) & set(EXPANDING) else "",
            "heads": _choices(stage.heads) if any(stage.heads) else "",
            "key_size": _choices(stage.key_size) if any(stage.key_size) else "",
            "stride": str(stage.stride),
            "block": ", ".join(stage.block),
            "act": stage.act,
            "se": _choices(stage.se) + of_input if any(stage.se) else "",
            **({"gate": stage.gate} if stage.gate != "hard_sigmoid" else {}),
            "shortcut": ", ".join(stage.shortcut),
            "shared": "yes" if stage.shared else "",
            "group_width": str(stage.group_width or ""),
            **({"reduction": str(stage.reduction)} if any(stage.heads) else {}),
        }


def _head(space: "Space") -> Iterator[_Cells]:
    head = space.head
    if head.width or head.expand:
        multiple = f"{head.expand:g} x {_choices(space.stages[-1].width)}"
        width = str(head.width) if head.width else multiple
        yield {"": "head", "width": width, "kernel": "1", "act": head.act}
    if head.features:
        yield {"": "head features", "width": _choices(head.features), "act": head.act}


def _fitting(
    rows: Sequence[_Cells], numbers: Sequence[str], kinds: Sequence[str]
) -> Iterator[list[str]]:
    """The columns of one table, or of two where one would be too wide to read."""
    columns = [c for c in (*numbers, *kinds) if any(row.get(c) for row in rows)]
    width = sum(2 + max(len(row.get(c, "")) for row in [*rows, {c: c}]) for c in ("", *columns))
    if width <= shutil.get_terminal_size().columns:
        yield columns
    else:
        yield [column for column in columns if column in numbers]
        yield [column for column in columns if column in kinds]


def _common(rows: Sequence[_Cells]) -> _Cells:
    """The kinds that are the same in every row that has one: no column is spent on them."""
    found = {column: {row[column] for row in rows if column in row} for column in _KINDS}
    return {column: values.pop() for column, values in found.items() if len(values) == 1}


def _cells(space: "Space") -> Iterator[str]:
    """What may be chosen of cells, and how often they stand there."""
    from supernet.space.cells import CELL_KINDS

    cells = space.cells
    if cells is None:
        return
    before = f"{cells.stem_cells} reduction cells, then " * (cells.stem_cells > 0)
    yield (
        f"cells: {before}three groups of {cells.repeats} normal cells, a reduction cell between "
        f"two groups; {cells.filters} channels in the first group, twice as many in the next"
    )
    same = " or the same twice" * cells.twice
    yield (
        f"nodes: {cells.nodes} a cell; each adds up two operations on two of prev, cur and the "
        f"nodes before it{same}; the first reads prev and cur"
    )
    yield f"operations: {', '.join(cells.operations)}"
    parts = "inputs", "left", "right"
    for kind in CELL_KINDS:
        cell = cells.cell(kind)
        always = f" and {', '.join(cell.joined)}" * bool(cell.joined)
        yield f"{kind} cell: joins what no node reads{always}"
        for number, node in enumerate(cell.nodes, start=1):
            texts = (", ".join(getattr(node, part)) for part in parts)
            own = [f"{part} {text}" for part, text in zip(parts, texts) if text]
            if own:
                yield f"  node{number}: {'; '.join(own)}"

    for name, (macs, params) in _published(space).items():
        yield (
            f"published cells: {name}, {macs / 1e6:.2f} M multiply-adds and {params / 1e6:.3f} M "
            f"parameters (supernet spaces subnet {name} --space {space.name})"
        )


def _published(space: "Space") -> dict[str, tuple[int, int]]:
    """Multiply-adds and parameters of its subnets whose cells were published."""
    from supernet.space import operators, total_macs, total_params
    from supernet.space.published_cells import published_in

    found = {name: operators(space, subnet) for name, subnet in published_in(space).items()}
    return {name: (total_macs(own), total_params(own)) for name, own in found.items()}


def _facts(space: "Space", ranges: "SpaceRanges") -> Iterator[str]:
    yield f"{ranges.subnets:.3g} subnets at {_choices(space.resolutions)} px"
    yield f"{_range(ranges.macs, 2)} M multiply-adds"
    yield f"{_range(ranges.params, 3)} M parameters, with a classifier of {space.num_classes}"
    yield (
        f"kernel_transform {space.kernel_transform}, dropout {space.head.dropout:g}, "
        f"bn_momentum {space.bn_momentum:g}, bn_eps {space.bn_eps:g}"
        + ", padding same"
        * (space.padding == "same")
    )
    yield f"hash {space.hash}"


def _range(ends: tuple[int, int], digits: int) -> str:
    """Least and most, in millions."""
    low, high = (f"{end / 1e6:.{digits}f}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _choices(values: Sequence[float]) -> str:
    """The values; only the ends of a long row of equal steps."""
    steps = {round(after - before, 9) for before, after in itertools.pairwise(values)}
    if len(values) > 3 and steps == {1}:
        return f"{values[0]:g} .. {values[-1]:g}"
    if len(values) > 4 and len(steps) == 1:
        return f"{values[0]:g}, {values[1]:g} .. {values[-1]:g}"
    return ", ".join(f"{value:g}" for value in values)
