"""``sep-journal``: makes the journal anew from the broker's transactions."""

import argparse
import asyncio
import sys

from prometheus_client import CollectorRegistry
from sep_kit.admission import open_key_ring
from sep_kit.errors import SepError
from sep_kit.grpc.client import open_channel
from sep_kit.settings.loading import check_settings_or_exit

from sep_journal.adapters.gateway_ledger import GatewayLedger
from sep_journal.adapters.sql.engine import open_engine
from sep_journal.adapters.sql.journal import SqlJournal
from sep_journal.application.ingestion import LedgerIngestion
from sep_journal.metrics import JournalMetrics
from sep_journal.settings import JournalSettings

_DONE, _FAILED = 0, 1
_INTERRUPTED = 130  # the exit code of a shell after Ctrl-C

_EPILOG = """\
Ledger, orders and trades are removed and taken in again from the broker, through the gateway of the
running stack. Decisions and the history of the account's value are not in the broker's ledger: they
stay, and trades are linked to their decisions again. The settings are the journal's own, from the
environment. Until it is done, reports lack what is not taken in yet.

exit codes: 0 done · 1 the gateway or the database does not answer; a second run begins anew
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="sep-journal", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser(
        "rebuild",
        help="take the broker's ledger in again, from nothing",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(argv)
    settings = check_settings_or_exit(JournalSettings).settings
    try:
        last = asyncio.run(_rebuild(settings))
    except (SepError, ValueError) as error:
        print(f"sep-journal: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    print(f"taken in up to transaction {last}")
    return _DONE


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
