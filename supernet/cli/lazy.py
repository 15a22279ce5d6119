"""Groups of commands whose files are imported only when a command runs."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group whose commands lie in one file each, ``<package>.<name>.command``.

    Args:
        package: that holds the files; a name that is a word of Python's own
            (``import``) has its file under ``import_``.
        about: one line a command, in the order of the help.
    """

    def __init__(self, *args: Any, package: str, about: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._package = package
        self._about = about

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(self._about)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        if cmd_name not in self._about:
            return None
        name = "import_" if cmd_name == "import" else cmd_name
        command: click.Command = importlib.import_module(f"{self._package}.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, and a misspelt name suggests the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from supernet.files import nearest

            message = f"no command {args[0]!r}; {nearest(args[0], self._about)}"
            raise click.UsageError(message, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their lines, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._about.items()))
