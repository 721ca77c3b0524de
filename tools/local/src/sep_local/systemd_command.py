"""The commands ``sep-stack install`` and ``sep-stack uninstall``."""

import argparse
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sep_local.env_file import read_env_file
from sep_local.errors import StackError
from sep_local.systemd import SETTINGS, STATE, UNIT_NAME, USER, Step, install_steps, uninstall_steps

Run = Callable[[Sequence[str]], None]


def install(arguments: argparse.Namespace) -> int:
    """Install the unit, or print what would be done."""
    project = Path(sys.prefix).parent
    read_env_file(arguments.env_file)  # its faults are named before anything is changed
    settings = arguments.env_file.read_text(encoding="utf-8")
    steps = install_steps(project, settings, arguments.root, has_user=_has_user())
    _carry_out(list(steps), dry_run=arguments.dry_run)
    if not arguments.dry_run:
        print(f"settings: {SETTINGS}/sep.env; secrets: a file each in {SETTINGS}/secrets")
        print(f"start it: systemctl start {UNIT_NAME}; log: journalctl --namespace sep --follow")
    return 0


def uninstall(arguments: argparse.Namespace) -> int:
    """Take the unit away, or print what would be done."""
    _carry_out(list(uninstall_steps(arguments.root)), dry_run=arguments.dry_run)
    if not arguments.dry_run:
        print(f"{SETTINGS}, {STATE} and the user {USER} are left: they hold settings and state")
    return 0


def _carry_out(steps: Iterable[Step], *, dry_run: bool) -> None:
    if not dry_run and os.geteuid() != 0:
        raise StackError("this changes the system and needs root; --dry-run prints each step")
    for step in steps:
        print(step)
        if not dry_run:
            carry_out(step, run_command)


def run_command(words: Sequence[str]) -> None:
    """Run a command of a step.

    Raises:
        StackError: it is not there, or it failed.
    """
    try:
        subprocess.run(words, check=True)  # noqa: S603  words of our own steps
    except (OSError, subprocess.CalledProcessError) as error:
        raise StackError(f"{words[0]}: {error}; the steps above are done") from error


def carry_out(step: Step, run: Run) -> None:
    """Carry out one step.

    Raises:
        StackError: a file can't be written or removed, or the command failed.
    """
    if step.command:
        run(step.command)
        return
    assert step.path is not None  # noqa: S101  every other step has one
    try:
        if step.text is None:
            step.path.unlink(missing_ok=True)
        elif not (step.only_new and step.path.exists()):
            step.path.parent.mkdir(parents=True, exist_ok=True)
            draft = step.path.with_name(f".{step.path.name}.new")
            draft.write_text(step.text, encoding="utf-8")
            draft.chmod(step.mode)
            if step.group:
                shutil.chown(draft, group=step.group)
            draft.rename(step.path)
    except (OSError, LookupError) as error:
        raise StackError(f"{step.path}: {error}; the steps above are done") from error


def _has_user() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True
