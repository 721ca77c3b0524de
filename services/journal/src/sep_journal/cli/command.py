"""``sep-journal``: makes the journal anew from the broker, copies it, loads a copy."""

import argparse
import asyncio
import sys
from collections.abc import Callable

from prometheus_client import CollectorRegistry
from sep_kit.admission import open_key_ring
from sep_kit.errors import SepError
from sep_kit.grpc.client import open_channel
from sep_kit.settings.loading import check_settings_or_exit

from sep_journal.adapters.gateway_ledger import GatewayLedger
from sep_journal.adapters.sql.copies import NotEmptyError, UnusableCopyError, dump, load
from sep_journal.adapters.sql.engine import open_engine
from sep_journal.adapters.sql.journal import SqlJournal
from sep_journal.application.ingestion import LedgerIngestion
from sep_journal.metrics import JournalMetrics
from sep_journal.settings import JournalSettings

_DONE, _FAILED = 0, 1
_NOT_EMPTY, _UNUSABLE = 3, 4
_INTERRUPTED = 130  # the exit code of a shell after Ctrl-C

_EPILOG = """\
Ledger, orders and trades are removed and taken in again from the broker, through the gateway of the
running stack. Decisions and the history of the account's value are not in the broker's ledger: they
stay, and trades are linked to their decisions again. The settings are the journal's own, from the
environment. Until it is done, reports lack what is not taken in yet.

exit codes: 0 done · 1 the gateway or the database does not answer; a second run begins anew
"""

_COPY_EPILOG = """\
The database is JOURNAL_DB_URL, from the environment; the service may run while a copy is made. A
copy of an SQLite database can be loaded into PostgreSQL and the other way round. It is loaded whole
or, after an error, not at all; one of an older release is brought up to date. `sep-state` backs up
both the journal and the rest of the state.

exit codes: 0 done · 1 the database does not answer · 3 load: the database holds a journal already,
see --replace · 4 load: the copy is damaged or of a newer release
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="sep-journal", description=__doc__)
    commands = parser.add_subparsers(required=True)
    rebuild = commands.add_parser(
        "rebuild",
        help="take the broker's ledger in again, from nothing",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rebuild.set_defaults(run=_rebuild_from_broker)
    copying = commands.add_parser(
        "dump",
        help="write a copy to the standard output",
        epilog=_COPY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    copying.set_defaults(run=_dump)
    loading = commands.add_parser(
        "load",
        help="make the database from a copy on the standard input",
        epilog=_COPY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    loading.add_argument(
        "--replace", action="store_true", help="remove what the database holds before"
    )
    loading.set_defaults(run=_load)
    options = parser.parse_args(argv)
    settings = check_settings_or_exit(JournalSettings).settings
    run: Callable[[argparse.Namespace, JournalSettings], str] = options.run
    try:
        print(run(options, settings), file=sys.stderr if options.run is _dump else sys.stdout)
    except NotEmptyError as error:
        return _failed(error, _NOT_EMPTY)
    except UnusableCopyError as error:
        return _failed(error, _UNUSABLE)
    except (SepError, ValueError, OSError) as error:
        return _failed(error, _FAILED)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return _DONE


def _failed(error: Exception, code: int) -> int:
    print(f"sep-journal: {error}", file=sys.stderr)
    return code


def _dump(_: argparse.Namespace, settings: JournalSettings) -> str:
    engine = open_engine(settings.journal_db_url.get_secret_value())
    try:
        return f"copied {dump(engine, sys.stdout.buffer)} rows"
    finally:
        engine.dispose()


def _load(options: argparse.Namespace, settings: JournalSettings) -> str:
    engine = open_engine(settings.journal_db_url.get_secret_value())
    try:
        return f"loaded {load(engine, sys.stdin.buffer, replace=options.replace)} rows"
    finally:
        engine.dispose()


def _rebuild_from_broker(_: argparse.Namespace, settings: JournalSettings) -> str:
    return f"taken in up to transaction {asyncio.run(_rebuild(settings))}"


async def _rebuild(settings: JournalSettings) -> int:
    registry = CollectorRegistry()
    journal = SqlJournal(open_engine(settings.journal_db_url.get_secret_value()))
    keys = open_key_ring("journal", settings, registry)
    channel = open_channel(settings.gateway_addr, keys, settings.tls())
    try:
        await journal.migrate()
        await journal.clear_ledger()
        ingestion = LedgerIngestion(
            journal,
            GatewayLedger(channel),
            lambda: True,
            settings.journal_page_size,
            JournalMetrics(registry),
        )
        return await ingestion.catch_up()
    finally:
        await channel.close(None)
        await journal.close()
