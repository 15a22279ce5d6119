"""Optuna's studies: the packages, storages by what the user typed, and their errors in a line."""

import contextlib
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supernet.errors import ConfigError, MissingPackageError, StorageError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["BESIDE", "Storage", "need_optuna"]

BESIDE = {"gp": ("scipy",), "cmaes": ("cmaes",)}
"""Packages that samplers need beside Optuna and torch: it loads them when first asked."""
_WAIT_S = 20.0  # for a SQLite file that another process writes
_SQLITE, _JOURNAL = "sqlite:///", "journal:"
_DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""What brings a module that talks to a database; SQLAlchemy's default changes with its version."""


def need_optuna(what: str, sampler: str = "") -> Any:
    """The package, with all that one of its samplers needs.

    Args:
        what: needs it, for the message.
        sampler: by its short name, as in `BESIDE`.

    Raises:
        MissingPackageError: one of them is not installed.
    """
    for package in ("optuna", *BESIDE.get(sampler, ())):
        try:
            importlib.import_module(package)
        except ImportError:
            raise MissingPackageError(
                f"{what} needs the package {package}, which is not installed",
                hint="pip install 'supernet[optuna]'",
            ) from None
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class Storage:
    """Where a study is kept.

    Args:
        name: a URL as Optuna takes it (``sqlite:///tune.db``, ``postgresql://…``), or
            ``journal:FILE`` for a file that network disks stand.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.shown = re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", name)
        """The name without a password."""
        start = next((s for s in (_SQLITE, _JOURNAL) if name.startswith(s)), "")
        self._file = Path(name.removeprefix(start)) if start and ":memory:" not in name else None
        if "://" not in name and not name.startswith(_JOURNAL):
            raise ConfigError(
                "storage: expected a URL such as sqlite:///tune.db, or journal:FILE, "
                f"found {self.shown!r}"
            )

    def open(self) -> "BaseStorage":
        """The storage of Optuna; its file and tables are made where they are not there.

        Raises:
            StorageError: it is locked, or cannot be reached.
            MissingPackageError: what talks to this database is not installed.
            ConfigError: no such kind of database.
        """
        optuna = need_optuna("a storage of studies")
        with self.errors(opening=True):
            if self._file is not None and not self._file.parent.is_dir():
                raise StorageError(
                    f"storage {self.shown}: the folder {self._file.parent} is not there"
                )
            if self.name.startswith(_JOURNAL):
                backend = optuna.storages.journal.JournalFileBackend(str(self._file))
                journal: BaseStorage = optuna.storages.JournalStorage(backend)
                return journal
            arguments = {"timeout": _WAIT_S} if self.name.startswith("sqlite") else {}
            database: BaseStorage = optuna.storages.RDBStorage(
                self.name, engine_kwargs={"connect_args": arguments}
            )
            return database

    @contextlib.contextmanager
    def errors(self, *, opening: bool = False) -> Iterator[None]:
        """Within it, what goes wrong with the storage is an error of ours.

        Args:
            opening: whether its file may be missing.
        """
        if not opening and self._file is not None and not self._file.exists():
            raise self._gone("its file is not there any more")
        try:
            yield
        except (StorageError, ConfigError, MissingPackageError):
            raise
        except ImportError as error:
            cause = error.__cause__ or error
            missing = (isinstance(cause, ImportError) and cause.name) or "psycopg"
            raise MissingPackageError(
                f"storage {self.shown}: a package for this kind of database is not installed "
                f"({_line(cause)})",
                hint=f"pip install '{_DRIVERS.get(missing, missing)}'",
            ) from None
        except Exception as error:
            found = self._told(error)
            if found is None:
                raise
            raise found from None

    def _told(self, error: BaseException) -> Exception | None:
        chain = []
        cause: BaseException | None = error
        while cause is not None:
            chain.append(cause)
            cause = cause.__cause__ or cause.__context__
        rooms = {type(one).__module__.split(".")[0] for one in chain}
        text = " ".join(map(_line, chain))
        if "database is locked" in text:
            return StorageError(
                f"storage {self.shown}: another program keeps it locked",
                hint="end that program, or wait; what was finished is kept",
            )
        if type(error).__name__ in ("NoSuchModuleError", "ArgumentError"):
            return ConfigError(f"storage {self.shown}: no such kind of database: {_line(error)}")
        if "version" in text and isinstance(error, RuntimeError):
            return ConfigError(
                f"storage {self.shown}: of another version of Optuna: {_line(error)}"
            )
        if rooms & {"sqlalchemy", "sqlite3"} or isinstance(error, OSError) or "journal" in text:
            return self._gone(_line(chain[-1]))
        if isinstance(error, ValueError) and self.name.startswith(_JOURNAL):
            return self._gone(f"not a journal: {_line(error)}")
        return None

    def _gone(self, reason: str) -> StorageError:
        return StorageError(
            f"storage {self.shown}: cannot be reached: {reason}",
            hint="put it back and give the same command again, or start with another --storage",
        )


def _line(error: object) -> str:
    return " ".join(str(error).split())[:160]
