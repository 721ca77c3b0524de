"""JournalService: checks the request, reads the journal, converts the result."""

from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc
from sep.journal.v1 import journal_pb2 as pb
from sep.journal.v1 import journal_pb2_grpc
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import JournalUnavailableError, NotFoundError

from sep_journal import convert
from sep_journal.application.events import EventFeed
from sep_journal.application.explanations import Explanations
from sep_journal.application.exports import Exports
from sep_journal.application.notifying import Notifications
from sep_journal.application.reports import Reports
from sep_journal.divergence_ports import DivergenceStore
from sep_journal.domain.costs import GroupBy
from sep_journal.domain.export import CONTENT_TYPES, ExportFormat, ExportKind
from sep_journal.ports import JournalReader

_Ledger: TypeAlias = grpc.aio.ServicerContext[pb.ListLedgerRequest, pb.ListLedgerResponse]
_Trades: TypeAlias = grpc.aio.ServicerContext[pb.ListTradesRequest, pb.ListTradesResponse]
_Performance: TypeAlias = grpc.aio.ServicerContext[
    pb.GetPerformanceRequest, pb.GetPerformanceResponse
]
_Costs: TypeAlias = grpc.aio.ServicerContext[pb.ListCostsRequest, pb.ListCostsResponse]
_Divergence: TypeAlias = grpc.aio.ServicerContext[
    pb.ListDivergenceRequest, pb.ListDivergenceResponse
]
_Export: TypeAlias = grpc.aio.ServicerContext[pb.StreamExportRequest, pb.StreamExportResponse]
_Decisions: TypeAlias = grpc.aio.ServicerContext[pb.ListDecisionsRequest, pb.ListDecisionsResponse]
_Events: TypeAlias = grpc.aio.ServicerContext[pb.StreamEventsRequest, pb.StreamEventsResponse]
_Decision: TypeAlias = grpc.aio.ServicerContext[pb.GetDecisionRequest, pb.GetDecisionResponse]

_Test: TypeAlias = grpc.aio.ServicerContext[
    pb.TestNotificationsRequest, pb.TestNotificationsResponse
]


# Proxies and browsers close a stream that sends nothing for 30 seconds or more.
_HEARTBEAT_S = 15.0


class JournalServicer(journal_pb2_grpc.JournalServiceServicer):
    """Serves reads and tests of notifications, on every replica."""

    def __init__(
        self,
        journal: JournalReader,
        divergence: DivergenceStore,
        reports: Reports,
        explanations: Explanations,
        events: EventFeed,
        notifications: Notifications,
        exports: Exports,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._divergence = divergence
        self._reports = reports
        self._explanations = explanations
        self._events = events
        self._notifications = notifications
        self._exports = exports
        self._clock = clock

    async def ListLedger(
        self, request: pb.ListLedgerRequest, context: _Ledger
    ) -> pb.ListLedgerResponse:
        """A page of the ledger."""
        page = await self._journal.transactions(
            convert.page_of(request), convert.range_of(request), request.instrument, request.type
        )
        return pb.ListLedgerResponse(
            transactions=[convert.transaction_message(entry) for entry in page.entries],
            next_page_token=convert.token_of(page.next_before),
        )

    async def ListTrades(
        self, request: pb.ListTradesRequest, context: _Trades
    ) -> pb.ListTradesResponse:
        """A page of trades."""
        page = await self._journal.trades(
            convert.page_of(request),
            convert.range_of(request),
            request.instrument,
            only_open=request.open,
        )
        return pb.ListTradesResponse(
            trades=[convert.trade_message(entry) for entry in page.entries],
            next_page_token=convert.token_of(page.next_before),
        )

    async def GetPerformance(
        self, request: pb.GetPerformanceRequest, context: _Performance
    ) -> pb.GetPerformanceResponse:
        """The performance of a range."""
        performance = await self._reports.performance(convert.range_of(request))
        return convert.performance_message(performance)

    async def ListCosts(
        self, request: pb.ListCostsRequest, context: _Costs
    ) -> pb.ListCostsResponse:
        """Costs by group."""
        by = GroupBy(request.group_by or GroupBy.INSTRUMENT)
        groups = await self._reports.costs(convert.range_of(request), request.instrument, by)
        return pb.ListCostsResponse(costs=[convert.cost_message(group) for group in groups])

    async def ListDivergence(
        self, request: pb.ListDivergenceRequest, context: _Divergence
    ) -> pb.ListDivergenceResponse:
        """Days that were compared with their replay."""
        page = await self._divergence.divergence(
            convert.page_of(request), convert.range_of(request), request.instrument
        )
        return pb.ListDivergenceResponse(
            days=[convert.divergence_message(day) for day in page.entries],
            next_page_token=convert.token_of(page.next_before),
        )

    async def ListDecisions(
        self, request: pb.ListDecisionsRequest, context: _Decisions
    ) -> pb.ListDecisionsResponse:
        """A page of decisions."""
        filters = {name: getattr(request, name) for name in ("instrument", "kind", "reason")}
        page = await self._journal.decisions(
            convert.page_of(request), convert.range_of(request), filters
        )
        return pb.ListDecisionsResponse(
            decisions=[convert.decision_message(entry) for entry in page.entries],
            next_page_token=convert.token_of(page.next_before),
        )

    async def GetDecision(
        self, request: pb.GetDecisionRequest, context: _Decision
    ) -> pb.GetDecisionResponse:
        """The records of one decision."""
        found = await self._explanations.explain(request.id)
        if found is None:
            raise NotFoundError(f"decision {request.id!r} is not in the journal", id=request.id)
        return pb.GetDecisionResponse(
            decisions=[convert.decision_message(entry) for entry in found.records],
            records=[entry.record for entry in found.records],
            made_again=[convert.made_again_message(entry) for entry in found.made_again],
            path=[convert.step_message(step) for step in found.path],
        )

    async def StreamExport(
        self, request: pb.StreamExportRequest, context: _Export
    ) -> AsyncIterator[pb.StreamExportResponse]:
        """A file in pieces."""
        kind = ExportKind(request.kind or ExportKind.TRADES)
        form = ExportFormat(request.format or ExportFormat.CSV)
        times = convert.range_of(request)
        async for piece in self._exports.pieces(kind, form, times, request.instrument):
            yield convert.piece_message(piece, CONTENT_TYPES[form])

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, context: _Events
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        """Send the events after an id, then each new one; an error message ends the stream."""
        last = await self._events.start(request.last_event_id)
        # At once: a client learns that the stream works only by its first message.
        yield self._heartbeat(last)
        try:
            async for page in self._events.follow(last, _HEARTBEAT_S):
                for stored in page:
                    last = stored.id
                    yield pb.StreamEventsResponse(event=convert.event_message(stored))
                if not page:
                    yield self._heartbeat(last)
        except JournalUnavailableError as error:
            fault = pb.EventStreamError(reason=error.reason, message=str(error))
            yield pb.StreamEventsResponse(error=fault)

    async def TestNotifications(
        self, request: pb.TestNotificationsRequest, context: _Test
    ) -> pb.TestNotificationsResponse:
        """The outcome of a test message to each destination."""
        attempts = await self._notifications.test()
        return pb.TestNotificationsResponse(
            results=[convert.test_result_message(attempt) for attempt in attempts]
        )

    def _heartbeat(self, last: int) -> pb.StreamEventsResponse:
        beat = pb.EventHeartbeat(ts_ms=now_ms(self._clock), last_event_id=str(last))
        return pb.StreamEventsResponse(heartbeat=beat)
