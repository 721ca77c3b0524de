"""Wires the journal's parts together."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from sep.journal.v1 import journal_pb2_grpc
from sep_kit import service
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts
from sqlalchemy import Engine

from sep_journal.adapters.apprise_sender import AppriseSender
from sep_journal.adapters.decision_inputs import inputs_of
from sep_journal.adapters.destinations import UrlList
from sep_journal.adapters.export_files import open_export
from sep_journal.adapters.gateway_ledger import GatewayLedger
from sep_journal.adapters.guard_decisions import GuardDecisions
from sep_journal.adapters.replay_process import ReplayProcess
from sep_journal.adapters.sql.engine import open_engine
from sep_journal.adapters.sql.journal import SqlJournal
from sep_journal.adapters.sql.outbox import SqlOutbox
from sep_journal.adapters.sql.outbox_threads import OutboxThread
from sep_journal.adapters.valkey_decisions import ValkeyDecisions
from sep_journal.adapters.valkey_published import ValkeyPublished
from sep_journal.adapters.valkey_state import ValkeyState
from sep_journal.application.divergence import DivergenceLoop
from sep_journal.application.events import EventFeed, EventIngestion
from sep_journal.application.explanations import Explanations
from sep_journal.application.exports import Exports
from sep_journal.application.ingestion import (
    DecisionIngestion,
    LedgerIngestion,
    SnapshotIngestion,
)
from sep_journal.application.notifying import DailySummary, HeartbeatLoop, Notifications
from sep_journal.application.reports import Reports
from sep_journal.metrics import DivergenceMetrics, JournalMetrics, NotificationMetrics
from sep_journal.servicer import JournalServicer
from sep_journal.settings import JournalSettings

SERVICE = "sep.journal.v1.JournalService"
_FEED_S = 0.5
"""Seconds between two looks for new events while clients wait."""


def build(settings: JournalSettings, context: Context) -> Parts:
    """Build the journal's parts from its settings."""
    engine = open_engine(settings.journal_db_url.get_secret_value())
    journal = SqlJournal(engine)
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
    reports = Reports(journal, context.clock)
    notifying = _notifying(settings, context, engine, reports, is_writer)
    loops += notifying.loops
    if settings.journal_replay_program:
        divergence = DivergenceLoop(
            journal,
            ReplayProcess(settings.journal_replay_program),
            is_writer,
            context.clock,
            DivergenceMetrics(context.registry, settings.journal_divergence_tolerance),
        )
        loops.append(
            PeriodicLoop(
                "journal_divergence",
                divergence.tick,
                settings.journal_snapshot_sec,
                context.loops,
                vital=False,
            )
        )
    heartbeat = _heartbeat(settings, context, loops[0])
    if heartbeat is not None:
        loops.append(heartbeat)
    for loop in loops:
        # A replica that takes the lease goes on at once.
        context.lease.on_acquired(loop.wake)
    guard = context.open_channel(settings.guard_addr)
    explanations = Explanations(journal, GuardDecisions(guard), inputs_of)
    servicer = JournalServicer(
        journal,
        journal,
        reports,
        explanations,
        feed,
        notifying.notifications,
        Exports(journal, open_export),
        context.clock,
    )

    return Parts(
        handlers=[
            Handler(SERVICE, servicer, journal_pb2_grpc.add_JournalServiceServicer_to_server)
        ],
        loops=loops,
        prepare=journal.migrate,
        checks={"database": journal.check},
        close=[
            partial(channel.close, None),
            partial(guard.close, None),
            notifying.close,
            journal.close,
        ],
    )


@dataclass(frozen=True, slots=True)
class _Notifying:
    notifications: Notifications
    loops: list[PeriodicLoop]
    close: Callable[[], Awaitable[None]]


def _notifying(
    settings: JournalSettings,
    context: Context,
    engine: Engine,
    reports: Reports,
    is_writer: Callable[[], bool],
) -> _Notifying:
    outbox = OutboxThread(SqlOutbox(engine, settings.delivery_rules()))
    urls = UrlList(settings.notify_urls, settings.notify_urls_file)
    notifications = Notifications(
        outbox,
        ValkeyState(context.store),
        urls,
        AppriseSender(),
        is_writer,
        context.clock,
        NotificationMetrics(context.registry),
    )
    summary = DailySummary(outbox, reports, urls, is_writer, context.clock)
    ticks = {
        "notify_collect": (notifications.collect, settings.journal_poll_sec),
        "notify_observe": (notifications.observe, settings.notify_poll_sec),
        "notify_deliver": (notifications.deliver, settings.notify_poll_sec),
        "notify_summary": (summary.tick, settings.journal_snapshot_sec),
    }
    loops = [
        PeriodicLoop(name, tick, seconds, context.loops, vital=False)
        for name, (tick, seconds) in ticks.items()
    ]
    return _Notifying(notifications, loops, outbox.close)


def _heartbeat(
    settings: JournalSettings, context: Context, ledger: PeriodicLoop
) -> PeriodicLoop | None:
    """A loop that pings while the ledger is taken in; None without a URL."""
    url = settings.notify_heartbeat_url.get_secret_value()
    if not url:
        return None
    # Imported here: its HTTP client costs memory, and most stacks ping nothing.
    from sep_journal.adapters.heartbeat import HttpHeartbeat

    loop = HeartbeatLoop(
        HttpHeartbeat(url), lambda: context.lease.held and ledger.stalled() is None
    )
    return PeriodicLoop(
        "notify_heartbeat", loop.tick, settings.notify_heartbeat_sec, context.loops, vital=False
    )


def main() -> None:
    """Run the journal until SIGTERM or SIGINT."""
    service.main("journal", JournalSettings, build)
