"""Messages of the contract to requests of the journal, and values to messages."""

import re
from decimal import Decimal
from typing import Any

from google.api import httpbody_pb2
from sep.journal.v1 import journal_pb2 as pb
from sep_fx.instants import NS_PER_MS, parse_rfc3339
from sep_kit.errors import InvalidArgumentError

from sep_journal.application.reports import Performance
from sep_journal.domain.costs import CostGroup
from sep_journal.domain.days import date_of
from sep_journal.domain.decision_path import PathStep
from sep_journal.domain.decisions import StoredDecision
from sep_journal.domain.divergence import DivergenceDay
from sep_journal.domain.events import StoredEvent
from sep_journal.domain.exact import amount_text
from sep_journal.domain.performance import Day
from sep_journal.domain.trades import CostParts
from sep_journal.outbox_ports import Attempt
from sep_journal.ports import LedgerEntry, ListedTrade, MadeAgain, PageRequest, Range

_DEFAULT_SIZE = 100
_MS = re.compile(r"\d{1,15}(?:\.\d{1,6})?")
_TOKEN = re.compile(r"(\d{1,18})-(\d{1,18})")


def range_of(request: Any) -> Range:
    """The range of a request.

    Raises:
        InvalidArgumentError: a time is malformed, or ``from`` is after ``to``.
    """
    # "from" is a keyword in Python, so attribute syntax is not possible.
    since = _time("from", getattr(request, "from"))
    until = _time("to", request.to)
    if since is not None and until is not None and since > until:
        raise InvalidArgumentError("from is after to; from must not be after to", field="from")
    return Range(since_ms=since, until_ms=until)


def _time(field: str, text: str) -> int | None:
    if not text:
        return None
    try:
        in_ms = _MS.fullmatch(text) is not None
        return int(Decimal(text)) if in_ms else parse_rfc3339(text) // NS_PER_MS
    except (ValueError, OverflowError):
        raise InvalidArgumentError(
            f"{field} {text!r} is not a time; allowed are RFC 3339, such as "
            "2014-05-01T00:00:00Z, and ms since the epoch, such as 1398902400000",
            field=field,
        ) from None


def page_of(request: Any) -> PageRequest:
    """The page of a request.

    Raises:
        InvalidArgumentError: the token is not one of ours.
    """
    before = None
    if request.page_token:
        match = _TOKEN.fullmatch(request.page_token)
        if match is None:
            raise InvalidArgumentError(
                f"page_token {request.page_token!r} is unknown; allowed are next_page_token of the "
                "page before, and none for the first page",
                field="page_token",
            )
        before = int(match[1]), int(match[2])
    return PageRequest(size=request.page_size or _DEFAULT_SIZE, before=before)


def token_of(before: tuple[int, int] | None) -> str:
    """The token of the next page; empty on the last."""
    return "" if before is None else f"{before[0]}-{before[1]}"


def transaction_message(entry: LedgerEntry) -> pb.LedgerTransaction:
    """One entry of the ledger."""
    values = {name: getattr(entry, name) for name in entry.__slots__}
    return pb.LedgerTransaction(**(values | {"id": str(entry.id)}))


def trade_message(listed: ListedTrade) -> pb.JournalTrade:
    """One trade."""
    trade = listed.trade
    return pb.JournalTrade(
        id=str(trade.id),
        instrument=trade.instrument,
        units=format(trade.units, "f"),
        open_units=amount_text(trade.open_units),
        open_time=trade.open_ms,
        close_time=trade.close_ms,
        open_price=_price(trade.open_price),
        close_price=_price(trade.close_price),
        net_pl=amount_text(trade.net_pl),
        parts=parts_message(trade.parts),
        decision_ids=trade.decision_ids,
        exit=trade.exit,
        own=trade.own,
        transaction_ids=[str(number) for number in listed.transaction_ids],
    )


def parts_message(parts: CostParts) -> pb.CostParts:
    """The parts of a result, as decimal strings in home currency."""
    return pb.CostParts(**{name: amount_text(getattr(parts, name)) for name in parts.__slots__})


def cost_message(group: CostGroup) -> pb.CostGroup:
    """The sums of one group."""
    return pb.CostGroup(
        group=group.group,
        trades=group.trades,
        net_pl=amount_text(group.net_pl),
        parts=parts_message(group.parts),
    )


def performance_message(performance: Performance) -> pb.GetPerformanceResponse:
    """The performance of a range."""
    ratios, figures, days = performance.ratios, performance.figures, performance.days
    return pb.GetPerformanceResponse(
        nav=amount_text(days[-1].nav) if days else "",
        net_pl=amount_text(performance.net_pl),
        transfers=amount_text(performance.transfers),
        time_weighted_return=ratios.time_weighted_return,
        annual_return=ratios.annual_return,
        max_drawdown=ratios.max_drawdown,
        sharpe=ratios.sharpe,
        sortino=ratios.sortino,
        calmar=ratios.calmar,
        win_rate=figures.win_rate,
        profit_factor=figures.profit_factor,
        exposure=performance.exposure,
        time_in_market=performance.time_in_market,
        trades=figures.trades,
        days=[_day_message(day) for day in days],
    )


def _day_message(day: Day) -> pb.PerformanceDay:
    message = pb.PerformanceDay(
        date=date_of(day.end_ms).isoformat(),
        end_ms=day.end_ms,
        nav=amount_text(day.nav),
        pl=amount_text(day.pl),
        transfers=amount_text(day.transfers),
        drawdown=day.drawdown,
    )
    if day.return_ is not None:
        # "return" is a keyword in Python.
        setattr(message, "return", day.return_)
    return message


def divergence_message(day: DivergenceDay) -> pb.DivergenceDay:
    """One compared day."""
    return pb.DivergenceDay(
        date=date_of(day.end_ms).isoformat(),
        end_ms=day.end_ms,
        live_net=amount_text(day.live_net),
        replay_net=amount_text(day.replay_net),
        live_trades=day.live_trades,
        replay_trades=day.replay_trades,
        causes=[
            pb.DivergenceCause(cause=cause, differences=count, cash=amount_text(cash))
            for cause, (count, cash) in day.by_cause().items()
        ],
        differences=[
            pb.DivergenceItem(
                cause=d.cause,
                cash=amount_text(d.cash),
                instrument=d.instrument,
                ts_ms=d.ts_ms,
                what=d.what,
                trade_id=d.trade_id,
                replay_trade_id=d.replay_trade_id,
            )
            for d in day.differences
        ],
    )


def piece_message(piece: bytes, content_type: str) -> pb.StreamExportResponse:
    """A piece of a file."""
    body = httpbody_pb2.HttpBody(content_type=content_type, data=piece)
    return pb.StreamExportResponse(piece=body)


def decision_message(decision: StoredDecision) -> pb.RecordedDecision:
    """One recorded decision."""
    return pb.RecordedDecision(
        id=decision.id,
        ts_ms=decision.ts_ms,
        event=decision.event,
        kind=decision.kind,
        instrument=decision.instrument,
        reasons=decision.reasons,
        count=decision.count,
        last_ts_ms=decision.last_ts_ms,
        last_id=decision.last_id,
    )


def made_again_message(made: MadeAgain) -> pb.DecisionMadeAgain:
    """A decision, made again."""
    return pb.DecisionMadeAgain(
        same=made.same,
        result=made.result,
        differences=[
            pb.DecisionDifference(name=d.name, recorded=d.recorded, remade=d.remade)
            for d in made.differences
        ],
        fault=made.fault,
    )


def step_message(step: PathStep) -> pb.PathStep:
    """One step of an order's way."""
    return pb.PathStep(step=step.step.value, id=step.id, ts_ms=step.ts_ms)


def event_message(stored: StoredEvent) -> pb.Event:
    """One event."""
    event = stored.event
    return pb.Event(
        id=str(stored.id),
        ts_ms=event.ts_ms,
        kind=event.kind.value,
        instrument=event.instrument,
        reasons=event.reasons,
        data=event.data,
    )


def _price(price: Decimal | None) -> str:
    return "" if price is None else format(price, "f")


def test_result_message(attempt: Attempt) -> pb.NotificationTestResult:
    """The outcome of a test message."""
    return pb.NotificationTestResult(
        destination=attempt.delivery.destination,
        delivered=not attempt.error,
        error=attempt.error,
    )
