"""The command `supernet`: one thin file a command, loaded when it is asked for."""

import importlib
import os
import sys
from typing import Any

import click

from supernet import __version__

__all__ = ["main"]

_COMMANDS = {
    "demo": "the whole loop on embedded images, in minutes",
    "train": "train a supernet",
    "quality": "measure subnets, also against the same trained alone",
    "search": "find the best subnet for a target",
    "export": "export a subnet to ONNX, verified",
    "import": "bring in published supernets, networks, predictors, tables",
    "spaces": "list search spaces, or show one",
    "recipes": "list recipes of training, or show one",
    "targets": "list devices whose latency can be predicted",
    "doctor": "check this machine",
}


class _Commands(click.Group):
    """Imports the file of a command only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        name = "import_" if cmd_name == "import" else cmd_name  # the word is Python's own
        module = importlib.import_module(f"supernet.cli.{name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from supernet.files import nearest

            message = f"no command {args[0]!r}; {nearest(args[0], _COMMANDS)}"
            raise click.UsageError(message, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and end with the exit code of whatever went wrong."""
        if not kwargs.get("standalone_mode", True):
            return super().main(*args, **kwargs)
        # Threads of torch that wait for each other spin by default: beside any other busy
        # process that makes training ten times slower. Not to spin at all lets the kernel
        # put both threads on one core (a fifth to a third slower alone). A short spin is as
        # good as none beside another training, and nearly as fast as the default alone.
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
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
