"""The journal's database through the journal's own command, ``sep-journal dump`` and ``load``."""

import os
import subprocess
import sys
from pathlib import Path

from sep_ops.state.errors import RefusedError, StateError, UnusableError

_SYSTEM_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH")
_ERRORS: dict[int, type[StateError]] = {3: RefusedError, 4: UnusableError}


def dump_journal(url: str | None, out: Path) -> None:
    """Write a copy of the journal's database into a new file.

    Args:
        url: None for the one that the journal's own settings name.

    Raises:
        StateError: the database or the command fails.
    """
    with out.open("xb") as file:
        _run(url, "dump", stdout=file)


def load_journal(url: str | None, copy: Path, *, replace: bool) -> None:
    """Make the journal's database from a copy: whole or not at all.

    Raises:
        RefusedError: the database holds a journal, and ``replace`` is not set.
        UnusableError: the copy is damaged, or of a newer release.
        StateError: the database or the command fails.
    """
    with copy.open("rb") as file:
        _run(url, "load", *(["--replace"] if replace else []), stdin=file)


def _run(url: str | None, *arguments: str, stdin: object = None, stdout: object = None) -> None:
    env = {name: os.environ[name] for name in _SYSTEM_NAMES if name in os.environ}
    if url is not None:
        # Not an argument: it may hold a password.
        env["JOURNAL_DB_URL"] = url
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-m", "sep_journal.cli", *arguments],
        env=env,
        stdin=stdin or subprocess.DEVNULL,  # type: ignore[call-overload]
        stdout=stdout or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
        error = _ERRORS.get(done.returncode, StateError)
        raise error(f"the journal: {words[-1].removeprefix('sep-journal: ')}")
