"""``sep-guard``: why the guard did, or did not, trade."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from rich.console import Console
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey

from sep_guard.adapters.decision_log import find_records, records_of_file
from sep_guard.adapters.decision_records import LogRecord
from sep_guard.cli.explanation import explain

_REPRODUCED, _NOT_FOUND, _DIFFERS, _UNREADABLE = 0, 1, 3, 4
_INTERRUPTED = 130  # the exit code of a shell after Ctrl-C

_EPILOG = """\
The id stands in guard:decisions, and in the response of POST /api/trade/reconcile beside
every entry, reduction and refusal; a hold has none. The decision is made again from its record,
by the same functions that made it. Decisions of a replay, with their ids, are in decisions.jsonl of
the folder that its --out wrote: give that file as --records.

exit codes: 0 found, and the same when made again · 1 not found · 3 different when made again ·
4 Valkey does not answer, or the record or the file can't be read
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="sep-guard", description=__doc__)
    commands = parser.add_subparsers(required=True)
    explain_parser = commands.add_parser(
        "explain",
        help="show a decision: inputs, checks, result",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    explain_parser.add_argument("decision_id", metavar="DECISION_ID")
    explain_parser.add_argument(
        "--valkey-url",
        default=os.environ.get("VALKEY_URL", "redis://127.0.0.1:16379/0"),
        help="VALKEY_URL when not given",
    )
    explain_parser.add_argument(
        "--records", type=Path, metavar="FILE", help="file of records, instead of Valkey's"
    )
    args = parser.parse_args(argv)
    source = keys.GUARD_DECISIONS if args.records is None else args.records
    try:
        if args.records is None:
            records = asyncio.run(_find(args.valkey_url, args.decision_id))
        else:
            records = records_of_file(args.records, args.decision_id)
    except (OSError, SepError, ValueError) as error:
        print(f"sep-guard: {error}", file=sys.stderr)
        return _UNREADABLE
    except KeyboardInterrupt:
        return _INTERRUPTED
    if not records:
        print(f"sep-guard: {args.decision_id} is not in {source}", file=sys.stderr)
        return _NOT_FOUND
    console = Console()
    if not console.is_terminal:
        # A pipe has no width, and wrapped tables can't be searched.
        console = Console(width=120)
    # A write that timed out is repeated, so a record may be stored twice.
    unique = [r for i, r in enumerate(records) if r not in records[:i]]
    same = [explain(console, record) for record in unique]
    return _REPRODUCED if all(same) else _DIFFERS


async def _find(url: str, decision_id: str) -> list[LogRecord]:
    store = open_valkey(url)
    try:
        return await find_records(store, decision_id)
    finally:
        await store.aclose()
