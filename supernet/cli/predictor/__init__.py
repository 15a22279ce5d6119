"""`supernet predictor`: accuracy pairs, and what is learned from them."""

import click

from supernet.cli.lazy import LazyGroup

__all__ = ["command"]

_COMMANDS = {
    "collect": "measure subnets of all sizes, to learn from",
}


@click.command(
    cls=LazyGroup,
    package="supernet.cli.predictor",
    about=_COMMANDS,
    epilog="Examples:  supernet predictor collect --subnets 200 --workers 2",
)
def command() -> None:
    """Accuracy predictors: what they learn from, and how wrong they are."""
