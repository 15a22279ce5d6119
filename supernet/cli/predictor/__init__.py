"""`supernet predictor`: accuracy predictors of your own, and their error."""

import click

from supernet.cli.lazy import LazyGroup

__all__ = ["command"]

_COMMANDS = {
    "fit": "fit a predictor to a file of measured subnets",
    "predict": "predict the accuracy of the subnets in a file",
}


@click.command(
    cls=LazyGroup,
    package="supernet.cli.predictor",
    about=_COMMANDS,
    epilog="Examples:  supernet predictor fit --space mobilenet_v3 --pairs pairs.npz -o acc.json  "
    "|  supernet predictor predict --predictor acc.json --space mobilenet_v3 --pairs new.csv "
    "-o out.csv",
)
def command() -> None:
    """Accuracy predictors: fitted to measured subnets, with their held-out error."""
