"""Results of an account: of a replay, from its folder, or of the live stack, from its journal."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from sep_client import Client
from sep_client.models import JournalTrade
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339

from sep_research.errors import ResearchError

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrade:
    """A closed trade, or a part of one that was closed at once; ``net`` in home currency.

    Attributes:
        opened, closed: seconds since the epoch; closed is 0 where it is not known.
        side: 1 for a long trade, -1 for a short one.
        open_price, close_price: 0 where they are not known.
        parts: what the net result consists of, by name; empty where that is not known.
    """

    instrument: str
    opened: int
    net: Decimal
    exit: str
    parts: Mapping[str, Decimal] = field(default_factory=dict)
    closed: int = 0
    side: int = 1
    open_price: float = 0.0
    close_price: float = 0.0

    @property
    def is_drawable(self) -> bool:
        """Whether times and prices of entry and exit are known."""
        return bool(self.closed and self.open_price and self.close_price)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """NAV at the end of each day, in home currency, and the closed trades."""

    title: str
    nav: Sequence[tuple[str, Decimal]]
    trades: Sequence[ClosedTrade]


def of_replay(folder: Path) -> Results:
    """The results of a folder that ``sep-replay --out`` wrote.

    Raises:
        ResearchError: it is no such folder; names the file.
    """
    path = folder / "manifest.json"
    try:
        json.loads(path.read_text(encoding="utf-8"))["settings"]
        path = folder / "nav.csv"
        nav = [(row["day"], Decimal(row["nav"])) for row in _rows(path)]
        path = folder / "trades.csv"
        trades = [
            ClosedTrade(
                instrument=row["instrument"],
                opened=parse_rfc3339(row["open_time"]) // NS_PER_SECOND,
                net=Decimal(row["realized_pl"]) + Decimal(row["financing"]),
                exit=row["exit"],
                closed=parse_rfc3339(row["close_time"]) // NS_PER_SECOND,
                side=1 if Decimal(row["units"]) > 0 else -1,
                open_price=float(row["open_price"]),
                close_price=float(row["close_price"]),
            )
            for row in _rows(path)
        ]
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise ResearchError(
            f"{path} can't be read: {error!r}; give a folder that sep-replay --out wrote, or live"
        ) from None
    return Results(title=f"Replay {folder.name}", nav=nav, trades=trades)


def of_journal(client: Client, since: int | None, until: int | None) -> Results:
    """The results of the live account, from the journal; times in seconds, None for no bound.

    Raises:
        ApiError, NoAnswerError: the stack refused, or does not answer.
    """
    start, end = (None if t is None else t * 1000 for t in (since, until))
    days = client.performance(since=start, until=end).days
    found = closed_trades(client, since, until)
    return Results(
        title="Live results",
        nav=[(day.date, day.nav) for day in days],
        trades=[
            ClosedTrade(
                instrument=trade.instrument,
                opened=int(trade.open_time // 1000),
                net=trade.net_pl,
                exit=trade.exit,
                parts=_parts(trade),
                closed=int((trade.close_time or 0) // 1000),
                side=1 if trade.units > 0 else -1,
                open_price=float(trade.open_price or 0),
                close_price=float(trade.close_price or 0),
            )
            for trade in reversed(found)
        ],
    )


def closed_trades(client: Client, since: int | None, until: int | None) -> list[JournalTrade]:
    """The closed trades in the journal, newest first; times of opening in seconds.

    Raises:
        ApiError, NoAnswerError: the stack refused, or does not answer.
    """
    start, end = (None if t is None else t * 1000 for t in (since, until))
    found: list[JournalTrade] = []
    token: str | None = None
    while token != "":
        page = client.journal_trades(page_size=_PAGE, page_token=token, since=start, until=end)
        found += [trade for trade in page.trades if trade.close_time is not None]
        token = page.next_page_token
    return found


_PARTS = ("signal", "half_spread", "delay", "slippage", "financing", "conversion", "commission",
          "other")  # fmt: skip


def _parts(trade: JournalTrade) -> dict[str, Decimal]:
    return {} if trade.parts is None else {name: getattr(trade.parts, name) for name in _PARTS}


def _rows(path: Path) -> Iterable[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
