"""`supernet predictor`: accuracy pairs, predictors learned from them, and their error."""

import click

from supernet.cli.lazy import LazyGroup

__all__ = ["command"]

_COMMANDS = {
    "collect": "measure subnets of all sizes, to learn from",
    "fit": "fit a predictor to a file of measured subnets",
    "check": "measure fresh subnets and compare with the predictions",
    "predict": "predict the accuracy of the subnets in a file",
}


@click.command(
    cls=LazyGroup,
    package="supernet.cli.predictor",
    about=_COMMANDS,
    epilog="Examples:  supernet predictor collect --subnets 200 --workers 2  |  "
    "supernet predictor fit --space mobilenet_v3 --pairs pairs.npz -o acc.json  |  "
    "supernet predictor predict --predictor acc.json --space mobilenet_v3 --pairs new.csv "
    "-o out.csv",
)
def command() -> None:
    """Accuracy predictors: what they learn from, and how wrong they are."""
