"""The command `supernet`: one thin file a command, loaded when it is asked for."""

import sys
from typing import Any

import click

from supernet import __version__
from supernet.cli.lazy import LazyGroup
from supernet.threads import limit_spinning

__all__ = ["main"]

_COMMANDS = {
    "demo": "the whole loop on embedded images, in minutes",
    "plan": "what would be trained on images, how long it takes",
    "train": "train a supernet",
    "tune": "find a better recipe and space by many trainings",
    "quality": "measure subnets, also against the same trained standalone",
    "search": "find the best subnet for a target",
    "predictor": "accuracy predictors: collect, fit, check, predict",
    "results": "what was searched for, and any subnet of it",
    "report": "the page of a run or of searches, made anew",
    "latency": "latency tables: predict, show, check, fit, import",
    "finetune": "train a found subnet a little further",
    "export": "write a subnet in any format, verified, INT8 included",
    "eval": "accuracy, latency, size and memory of files, side by side",
    "import": "bring in published supernets, networks, predictors, tables",
    "spaces": "list search spaces, or show one",
    "recipes": "list recipes of training, or show one",
    "targets": "list devices whose latency can be predicted",
    "doctor": "check this machine",
}


class _Commands(LazyGroup):
    """All commands; errors end as one line and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and end with the exit code of whatever went wrong."""
        if not kwargs.get("standalone_mode", True):
            return super().main(*args, **kwargs)
        limit_spinning()
        from supernet.cli.output import run_guarded

        arguments = kwargs.get("args") or (args[0] if args else None) or sys.argv[1:]
        sys.exit(
            run_guarded(
                lambda: super(_Commands, self).main(
                    args=list(arguments), prog_name="supernet", standalone_mode=False
                ),
                arguments,
            )
        )


@click.command(
    cls=_Commands,
    package="supernet.cli",
    about=_COMMANDS,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "SUPERNET",
        "max_content_width": 100,
    },
    epilog="Start with `supernet demo`, or with your own images: "
    "`supernet train --data PATH`, `supernet search`, `supernet export subnet.json --onnx`.",
)
@click.version_option(__version__, prog_name="supernet")
def main() -> None:
    """Train one weight-sharing network once; take from it the best subnet for each device."""
