"""Published latency tables become targets of this user."""

import re
from collections.abc import Sequence
from pathlib import Path

from supernet.errors import ConfigError
from supernet.fetch import fetch, name_of
from supernet.latency.fit_operators import with_work_model
from supernet.latency.ofa import read_ofa_tables
from supernet.latency.table import LatencyTable
from supernet.latency.targets import HERE, check_not_shipped, load_target, own_tables
from supernet.progress import Progress, silent

__all__ = ["import_latency_table"]

_NAME_LENGTH = 80
_PRIOR = "mobile_cpu"


def import_latency_table(
    sources: Sequence[str], *, name: str | None = None, progress: Progress = silent
) -> tuple[LatencyTable, Path]:
    """Published latency tables as one target of this user.

    A model is fitted to the rows, so that the target also prices networks of other
    widths and kinds; for work that no row has it borrows from `mobile_cpu`.

    Args:
        sources: paths or URLs of the files, or folders of them.
        name: of the target; that of the first folder or file when not given.
        progress: told about downloads.

    Raises:
        FileFormatError: not such a table.
        ConfigError: a name that cannot be a target's.
    """
    name = name or name_of(sources[0]).removesuffix(".yaml")
    if name in HERE or not re.fullmatch(rf"[\w-]{{1,{_NAME_LENGTH}}}", name):
        raise ConfigError(
            f"name: must be up to {_NAME_LENGTH} letters, digits, '_' or '-' and not "
            f"{' or '.join(HERE)}, found {name[:60]!r}",
            hint="choose another by --name",
        )
    check_not_shipped(name)
    table = read_ofa_tables([fetch(source, progress) for source in sources], name)
    table = with_work_model(table, prior=load_target(_PRIOR).model)
    path = own_tables() / f"{name}.json"
    table.save(path)
    return table, path
