"""`supernet spaces`: what can be searched."""

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table


@click.command(
    epilog="Examples:  supernet spaces  |  supernet spaces demo  |  supernet spaces my.yaml"
)
@click.argument("name", required=False)
@options.common
def command(name: str | None, as_json: bool) -> None:
    """List the search spaces, or show the stages of one (NAME or a YAML file)."""
    if name is None:
        _list(as_json)
    else:
        _show(name, as_json)


def _list(as_json: bool) -> None:
    from supernet.space import list_spaces, load_space, space_ranges

    found = [(name, space_ranges(load_space(name)), load_space(name)) for name in list_spaces()]
    print_table(
        "Search spaces",
        [
            [
                name,
                f"{ranges.subnets:.2g}",
                f"{ranges.macs[0] / 1e6:.1f} to {ranges.macs[1] / 1e6:.1f}",
                f"{ranges.params[0] / 1e6:.2f} to {ranges.params[1] / 1e6:.2f}",
                space.about,
            ]
            for name, ranges, space in found
        ],
        ["name", "subnets", "M MACs", "M parameters", ""],
    )
    if as_json:
        print_json({"spaces": [{"name": name, **ranges.as_dict()} for name, ranges, _ in found]})


def _show(name: str, as_json: bool) -> None:
    from dataclasses import asdict

    from supernet.space import load_space, space_ranges

    space = load_space(name)
    rows = [
        [
            "stem",
            _choices(space.stem.width),
            "",
            str(space.stem.kernel),
            "",
            str(space.stem.stride),
            space.stem.act,
            "",
        ]
    ]
    for number, stage in enumerate(space.stages, start=1):
        rows.append(
            [
                f"stage {number}",
                _choices(stage.width),
                _choices(stage.depth),
                _choices(stage.kernel),
                _choices(stage.expand),
                str(stage.stride),
                stage.act,
                f"{stage.se:g}" if stage.se else "",
            ]
        )
    rows.append(["head", f"{space.head.width or ''}", "", "", "", "", space.head.act, ""])
    header = ["", "width", "depth", "kernel", "expand", "stride", "act", "se"]
    print_table(f"{space.name}: {space.about}", rows, header)
    ranges = space_ranges(space)
    click.echo(
        f"\n{ranges.subnets:.3g} subnets at {_choices(space.resolutions)} px, "
        f"{ranges.macs[0] / 1e6:.2f} to {ranges.macs[1] / 1e6:.2f} M multiply-adds, "
        f"{ranges.params[0] / 1e6:.3f} to {ranges.params[1] / 1e6:.3f} M parameters, "
        f"hash {space.hash}"
    )
    if as_json:
        print_json({**asdict(space), "hash": space.hash, **ranges.as_dict()})


def _choices(values: tuple[float, ...]) -> str:
    if len(values) > 6:
        return f"{values[0]:g}, {values[1]:g} .. {values[-1]:g}"
    return ", ".join(f"{value:g}" for value in values)
