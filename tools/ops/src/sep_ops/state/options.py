"""Options and help of ``sep-state``."""

import argparse
from pathlib import Path

_DESCRIPTION = """\
Back up, verify, restore, migrate and repair the state of a stack: Valkey and the journal.

The state is the one of the run directory (--run-dir, SEP_RUN_DIR, .run), whether the stack runs
or not. With VALKEY_URL in the environment it is that Valkey's, and the journal's is
JOURNAL_DB_URL's. Without VALKEY_URL, JOURNAL_DB_URL names a journal that is not in the run
directory.
"""
_EPILOG = """\
exit codes:
  0    done
  1    the command failed; the message says at what
  2    the call itself is wrong
  3    refused: a stack runs, or there is state that would be destroyed
  4    the backup, or what is damaged, can't be used
  130  stopped with Ctrl-C
"""
_BACKUP = """\
Valkey's keys are read at one moment, then the journal; the stack goes on. Candles are left out
unless --candles is given: the broker has them, and they are fetched again. The stack's API keys,
the broker's token and settings are not in a backup. The file gets its name when it is whole and
on disk.
"""
_VERIFY = """\
Decrypts, compares every member with its digest, and loads all of it into a Valkey and a database
that exist only meanwhile.
"""
_RESTORE = """\
The stack must be stopped. It starts with the kill switch engaged, on file for good with its
reason, and reconciles with the broker. Order claims and fencing tokens stay, leases do not. With
--replace the Valkey files of before are set aside in the run directory; the journal of before is
removed.
"""
_MIGRATE = """\
Loads a backup of this or an older release as a restore would, and writes what came of it into a
folder as this release writes it. It changes a backup's key as well: name the old one with
--identity, the new one with --encrypt-to.
"""
_REPAIR = """\
For a Valkey that does not start because its append-only files are damaged. Cuts them at the first
command that can't be read and says what is lost; the files as they were found are set aside. The
kill switch is engaged.
"""
_KEY = """\
Makes a key for encrypted backups: FILE is secret and needed to restore, FILE.pub is what
--encrypt-to takes. The format is age's: its own programs read the backups and the keys too.
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser; the chosen command is ``command``."""
    parser = argparse.ArgumentParser(
        prog="sep-state",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    backup = _add(commands.add_parser, "backup", "write a backup into a folder", _BACKUP)
    _add_out(backup)
    _add_recipients(backup)
    backup.add_argument("--candles", action="store_true", help="take candles in as well")
    backup.add_argument(
        "--without-journal", action="store_true", help="where the journal has backups of its own"
    )
    backup.add_argument(
        "--keep-daily",
        type=_count,
        metavar="N",
        help="remove older backups of the folder but the last of each of the last N days",
    )
    backup.add_argument(
        "--keep-weekly", type=_count, metavar="N", help="likewise of the last N weeks"
    )

    verify = _add(commands.add_parser, "verify", "try a backup", _VERIFY)
    _add_file(verify)

    restore = _add(commands.add_parser, "restore", "make a backup the stack's state", _RESTORE)
    _add_file(restore)
    restore.add_argument("--replace", action="store_true", help="replace the state that is there")

    migrate = _add(commands.add_parser, "migrate", "write a backup anew", _MIGRATE)
    _add_file(migrate)
    _add_out(migrate)
    _add_recipients(migrate)

    repair = _add(commands.add_parser, "repair", "repair damaged append-only files", _REPAIR)
    repair.add_argument("--dry-run", action="store_true", help="only say what is damaged")

    key = _add(commands.add_parser, "key", "make a key for encrypted backups", _KEY)
    key.add_argument("file", type=Path, metavar="FILE", help="file of the new key")
    return parser


def _add(add_parser: object, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = add_parser(  # type: ignore[operator]
        name,
        help=summary,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="the stack's run directory")
    return parser


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the backup")
    parser.add_argument(
        "--identity",
        type=Path,
        metavar="FILE",
        help="the secret key of an encrypted backup",
    )


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the file",
    )


def _add_recipients(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encrypt-to", type=Path, metavar="FILE", help="encrypt to the public keys in this file"
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 7")
    return int(text)
