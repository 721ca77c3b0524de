"""Reads ``guard:decisions`` from a position on."""

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply

from sep_journal.domain.decisions import Decision
from sep_journal.domain.exact import ratio, total

_log = get_logger("Journal")


class ValkeyDecisions:
    """Implements ``DecisionStream``."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def read(self, after: str, size: int) -> tuple[Sequence[Decision], str]:
        """At most ``size`` decisions after a position, and the position of the last record."""
        start = f"({after}" if after else "-"
        page = await reply(self._store.xrange(keys.GUARD_DECISIONS, start, "+", count=size))
        found = []
        for entry, fields in page:
            try:
                found.append(decision_of(fields[b"decision"].decode()))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                # A malformed record is skipped, so that the ones after it are still read.
                _log.warning("decision left out", entry=entry.decode(), error=repr(error))
        return found, page[-1][0].decode() if page else after


def decision_of(text: str) -> Decision:
    """A record of the guard.

    Raises:
        ValueError, TypeError, KeyError: it is malformed.
    """
    record: dict[str, Any] = json.loads(text)
    event = str(record.get("event", "decision"))
    market = market_of(record)
    order = event == "order"
    trade_id = str(record.get("trade_id", "")) if order else ""
    reasons = record.get("reasons") or ([record["reason"]] if record.get("reason") else [])
    return Decision(
        id=str(record["id"]),
        ts_ms=int(record["ts"]),
        event=event,
        kind=str(record.get("kind") or event.upper()),
        instrument=str(record.get("instrument", "")),
        reasons=tuple(str(reason) for reason in reasons),
        record=text,
        client_order_id=str(record["client_order_id"]) if order else "",
        trade_id=int(trade_id) if trade_id.isdigit() else 0,
        quote_mid=_mid(market.get("quote") or {}),
        signal_mid=_decimal((market.get("signal") or {}).get("close")),
    )


def market_of(record: dict[str, Any]) -> dict[str, Any]:
    """The market of the record's instrument; empty where it has none."""
    if isinstance(record.get("market"), dict):
        return dict(record["market"])
    for market in record.get("markets") or ():
        if (market.get("instrument") or {}).get("name") == record.get("instrument"):
            return dict(market)
    return {}


def _mid(quote: dict[str, Any]) -> Decimal | None:
    bid, ask = _decimal(quote.get("bid")), _decimal(quote.get("ask"))
    return None if bid is None or ask is None else ratio(total((bid, ask)), Decimal(2))


def _decimal(value: object) -> Decimal | None:
    if value is None:
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
