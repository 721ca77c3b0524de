"""The folder that ``--out`` writes: what was played, and what came of it.

``manifest.json`` has the digests of the candles, the settings and parameters; ``events.json`` every
event; ``decisions.jsonl`` each decision as the guard records it, for ``sep-guard explain``;
``nav.csv`` the account at the end of each day; ``trades.csv`` each closed part of a trade.
The same candles and settings give the same bytes.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sep_evaluator.domain.costs import NO_COST_TABLE
from sep_fx.instants import format_seconds
from sep_kit import __version__
from sep_kit.settings.loading import Settings
from sep_paper_broker.account.transactions import DailyFinancing, OpenTradeFinancing
from sep_paper_broker.orders.fill_records import OrderFill

from sep_replay.engine import ReplaySettings
from sep_replay.journal import Event, Journal, Topic
from sep_replay.sources import digests
from sep_replay.tape import Tape

MANIFEST, EVENTS, NAV, TRADES = "manifest.json", "events.json", "nav.csv", "trades.csv"
DECISIONS = "decisions.jsonl"
_USUAL_HOME = "USD"
_NAV_COLUMNS = ("day", "nav", "balance")
_TRADE_COLUMNS = (
    "instrument", "trade_id", "units", "open_time", "open_price", "close_time", "close_price",
    "realized_pl", "financing", "exit",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrade:
    """A trade, or the part of it that one fill closed; times in seconds, money in home currency."""

    instrument: str
    trade_id: str
    units: Decimal
    open_time: int
    open_price: Decimal
    close_time: int
    close_price: Decimal
    realized_pl: Decimal
    financing: Decimal
    exit: str


def write_run(folder: Path, tape: Tape, settings: ReplaySettings, journal: Journal) -> None:
    """Write the folder of a run.

    Raises:
        OSError: it can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_events(folder / EVENTS, journal)
    with (folder / DECISIONS).open("w", encoding="utf-8") as out:
        out.writelines(record.model_dump_json() + "\n" for record in journal.records)
    nav = [
        (e.subject, f"{e.data['nav']:f}", f"{e.data['balance']:f}") for e in journal.of(Topic.NAV)
    ]
    _write_csv(folder / NAV, _NAV_COLUMNS, nav)
    _write_csv(folder / TRADES, _TRADE_COLUMNS, map(_row, closed_trades(journal)))
    manifest = {
        "version": __version__,
        "granularity": tape.granularity.value,
        "candles": digests(tape),
        "balance": f"{settings.balance:f}",
        "open_gates": settings.open_gates,
        **_added(settings),
        "params": {i: p.as_dict() for i, p in sorted(settings.params.items())},
        "settings": {
            **_knobs(settings.evaluator), **_knobs(settings.allocator), **_knobs(settings.guard)
        },
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _added(settings: ReplaySettings) -> dict[str, Any]:
    """What differs from an account in dollars without costs, so that its bytes stay."""
    found: dict[str, Any] = {}
    if settings.account_costs != NO_COST_TABLE:
        found["costs"] = settings.account_costs.as_json()
    if settings.home != _USUAL_HOME:
        found["home_currency"] = settings.home
    return found


def write_events(path: Path, journal: Journal) -> None:
    """Write all events, one a line, so that two logs can be compared by line."""
    with path.open("w", encoding="utf-8") as out:
        lines = (json.dumps(e.as_json()) for e in journal.events)
        out.write('{"events": [\n' + ",\n".join(lines) + "\n]}\n")


def closed_trades(journal: Journal) -> Iterator[ClosedTrade]:
    """Closed trades in the order of their exits."""
    opened: dict[str, tuple[int, Decimal]] = {}
    financed: dict[str, Decimal] = {}
    for event in journal.events:
        for share in _financing_of(event):
            before = financed.get(share.trade_id, Decimal(0))
            financed[share.trade_id] = before + share.financing
        fill = _fill_of(event)
        if fill is None:
            continue
        if fill.trade_opened is not None:
            opened[fill.trade_opened.trade_id] = event.time, fill.trade_opened.price
        reduced = () if fill.trade_reduced is None else (fill.trade_reduced,)
        for trade in (*(fill.trades_closed or ()), *reduced):
            since, price = opened[trade.trade_id]
            yield ClosedTrade(
                instrument=fill.instrument,
                trade_id=trade.trade_id,
                units=-trade.units,
                open_time=since,
                open_price=price,
                close_time=event.time,
                close_price=trade.price,
                realized_pl=trade.realized_pl,
                # What was booked so far belongs to the part that is closed first.
                financing=trade.financing + financed.pop(trade.trade_id, Decimal(0)),
                exit=_exit_of(event, fill),
            )


def _financing_of(event: Event) -> Iterator[OpenTradeFinancing]:
    body = event.data.get("transaction")
    if isinstance(body, DailyFinancing):
        for position in body.position_financings:
            yield from position.open_trade_financings


def _fill_of(event: Event) -> OrderFill | None:
    body = None
    if event.topic is Topic.ORDER:
        body = event.data["answer"]
    elif event.topic is Topic.FILL:
        body = event.data["transaction"]
    return body if isinstance(body, OrderFill) else None


def _exit_of(event: Event, fill: OrderFill) -> str:
    """The guard's first reason for its own order, else the broker's."""
    reasons = event.data.get("reasons")
    return str(reasons[0]) if reasons else str(fill.reason)


def _row(trade: ClosedTrade) -> tuple[str, ...]:
    def text(value: Any) -> str:
        return f"{value:f}" if isinstance(value, Decimal) else str(value)

    times = {"open_time", "close_time"}
    return tuple(
        format_seconds(getattr(trade, n)) if n in times else text(getattr(trade, n))
        for n in _TRADE_COLUMNS
    )


def _knobs(settings: Settings) -> dict[str, Any]:
    secret = {n for n in type(settings).model_fields if isinstance(getattr(settings, n), SecretStr)}
    return {n.upper(): v for n, v in settings.model_dump(mode="json", exclude=secret).items()}


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
