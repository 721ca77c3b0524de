"""Wires the journal's parts together."""

from functools import partial

from sep.journal.v1 import journal_pb2_grpc
from sep_kit import service
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts

from sep_journal.adapters.decision_inputs import inputs_of
from sep_journal.adapters.gateway_ledger import GatewayLedger
from sep_journal.adapters.guard_decisions import GuardDecisions
from sep_journal.adapters.sql.engine import open_engine
from sep_journal.adapters.sql.journal import SqlJournal
from sep_journal.adapters.valkey_decisions import ValkeyDecisions
from sep_journal.adapters.valkey_published import ValkeyPublished
from sep_journal.application.events import EventFeed, EventIngestion
from sep_journal.application.explanations import Explanations
from sep_journal.application.ingestion import (
    DecisionIngestion,
    LedgerIngestion,
    SnapshotIngestion,
)
from sep_journal.application.reports import Reports
from sep_journal.metrics import JournalMetrics
from sep_journal.servicer import JournalServicer
from sep_journal.settings import JournalSettings

SERVICE = "sep.journal.v1.JournalService"
_FEED_S = 0.5
"""Seconds between two looks for new events while clients wait."""


def build(settings: JournalSettings, context: Context) -> Parts:
    """Build the journal's parts from its settings."""
    journal = SqlJournal(open_engine(settings.journal_db_url.get_secret_value()))
    channel = context.open_channel(settings.gateway_addr)
    ledger, metrics = GatewayLedger(channel), JournalMetrics(context.registry)

    def is_writer() -> bool:
        return context.lease.held

    transactions = LedgerIngestion(journal, ledger, is_writer, settings.journal_page_size, metrics)
    decisions = DecisionIngestion(journal, ValkeyDecisions(context.store), is_writer)
    snapshots = SnapshotIngestion(journal, ledger, is_writer, metrics)
    published = EventIngestion(journal, ValkeyPublished(context.store), is_writer)
    feed = EventFeed(journal)
    poll_s = settings.journal_poll_sec
    # None is vital: what was taken in is served while the gateway or Valkey is away.
    loops = [
        PeriodicLoop("journal_ledger", transactions.tick, poll_s, context.loops, vital=False),
        PeriodicLoop("journal_decisions", decisions.tick, poll_s, context.loops, vital=False),
        PeriodicLoop("journal_events", published.tick, poll_s, context.loops, vital=False),
        PeriodicLoop("journal_event_feed", feed.tick, _FEED_S, context.loops, vital=False),
        PeriodicLoop(
            "journal_snapshot",
            snapshots.tick,
            settings.journal_snapshot_sec,
            context.loops,
            vital=False,
        ),
    ]
    for loop in loops:
        # A replica that takes the lease goes on at once.
        context.lease.on_acquired(loop.wake)
    guard = context.open_channel(settings.guard_addr)
    explanations = Explanations(journal, GuardDecisions(guard), inputs_of)
    servicer = JournalServicer(
        journal, Reports(journal, context.clock), explanations, feed, context.clock
    )

    return Parts(
        handlers=[
            Handler(SERVICE, servicer, journal_pb2_grpc.add_JournalServiceServicer_to_server)
        ],
        loops=loops,
        prepare=journal.migrate,
        checks={"database": journal.check},
        close=[partial(channel.close, None), partial(guard.close, None), journal.close],
    )


def main() -> None:
    """Run the journal until SIGTERM or SIGINT."""
    service.main("journal", JournalSettings, build)
