"""Where the state lies: the run directory of ``make run``, or a Valkey that a URL names."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sep_local.errors import StackError
from sep_local.run_dir import locked
from sep_local.valkey_users import url_file

from sep_ops.state.errors import RefusedError, StateError
from sep_ops.state.server import EmbeddedValkey

_WORK = "state-work"
_PREFIX = "sep-state-"


@dataclass(frozen=True, slots=True)
class Place:
    """Where Valkey, the journal and the kill switch's files are.

    Attributes:
        run_dir: the run directory; used unless there is a ``valkey_url``.
        valkey_url: a Valkey that runs, such as the one of the containers.
        journal_url: None for the one that the journal's own settings name.
        halt_dir: folder of the kill switch's files; None if there is none here.
    """

    run_dir: Path
    valkey_url: str | None
    journal_url: str | None
    halt_dir: Path | None

    @property
    def valkey_dir(self) -> Path:
        """Valkey's files in the run directory."""
        return self.run_dir / "valkey"

    @property
    def append_only_dir(self) -> Path:
        """Valkey's append-only files in the run directory."""
        return self.valkey_dir / "appendonlydir"

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Hold the run directory, so that no stack starts on it.

        Raises:
            RefusedError: a stack runs on it.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.run_dir))
            except StackError as error:
                raise RefusedError(str(error)) from error
            yield

    @contextmanager
    def readable(self) -> Iterator[str]:
        """URL of a Valkey that serves the state, whether the stack runs or not.

        Raises:
            StateError: there is no state, or Valkey does not start on it.
        """
        if self.valkey_url is not None:
            yield self.valkey_url
            return
        if not has_files(self.append_only_dir):
            raise StateError(
                f"{self.run_dir} holds no state: name another with --run-dir, or a Valkey with "
                "VALKEY_URL"
            )
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.run_dir))
            except StackError:
                url = url_file(self.run_dir).read_text().strip()
            else:
                url = stack.enter_context(EmbeddedValkey(self.valkey_dir)).url
            yield url

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """An empty folder of this user's own for what is not encrypted; removed at the end.

        It lies beside the state, not beside the backups, which may be on another machine's disk.
        """
        parent = Path(tempfile.gettempdir())
        if self.valkey_url is None and self.run_dir.is_dir():
            parent = self.run_dir / _WORK
            parent.mkdir(mode=0o700, exist_ok=True)
            remove_leftovers(parent)
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove work folders whose command was killed; each has the id of its process in its name."""
    for folder in parent.glob(f"{_PREFIX}*"):
        if not runs(folder.name.removeprefix(_PREFIX).partition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


def runs(pid: str) -> bool:
    """Whether a process runs; True where the text is no process id."""
    if not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def has_files(folder: Path) -> bool:
    """Whether a folder is there and not empty."""
    return folder.is_dir() and any(folder.iterdir())


def read_place(environ: Mapping[str, str], run_dir: Path | None) -> Place:
    """The place that options and environment name.

    ``VALKEY_URL`` names a Valkey that runs; without it the run directory counts, which is
    ``run_dir``, ``SEP_RUN_DIR`` or ``.run``.
    """
    folder = (run_dir or Path(environ.get("SEP_RUN_DIR") or ".run")).absolute()
    valkey = environ.get("VALKEY_URL") if run_dir is None else None
    journal = environ.get("JOURNAL_DB_URL")
    halt = environ.get("KILL_SWITCH_DIR")
    if valkey is not None:
        return Place(folder, valkey, journal, Path(halt) if halt else None)
    return Place(
        folder,
        None,
        journal or f"sqlite:///{folder}/journal/journal.db",
        folder / "kill_switch",
    )
