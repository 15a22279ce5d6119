"""Groups that list things by themselves, and show one by its name."""

from typing import Any

import click

__all__ = ["CatalogueGroup"]


class CatalogueGroup(click.Group):
    """Says how a thing is shown where its name stands in place of a command.

    Args:
        thing: what is listed, in a word.
    """

    def __init__(self, *args: Any, thing: str, **kwargs: Any) -> None:
        kwargs["invoke_without_command"] = True
        super().__init__(*args, **kwargs)
        self._thing = thing

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the way out for the name of a thing."""
        if args[0] not in self.commands:
            way_out = f"to show a {self._thing}: supernet {self.name} show {args[0]}"
            raise click.UsageError(f"no command {args[0]!r}; {way_out}", ctx)
        return super().resolve_command(ctx, args)
