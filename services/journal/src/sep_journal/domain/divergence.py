"""A day that was compared with its replay: differences, each with a cause and its cash."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_journal.domain.exact import total

CAUSES = (
    "data",
    "gate",
    "signal",
    "size",
    "price",
    "timing",
    "operator",
    "broker",
    "limit",
    "unexplained",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference; ``cash`` is what live earned more by it, in home currency.

    A trade id is empty where that side has no trade.
    """

    cause: str
    cash: Decimal
    instrument: str
    ts_ms: int
    what: str
    trade_id: str
    replay_trade_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceDay:
    """The trades that were opened in a day against those of its replay."""

    end_ms: int
    live_net: Decimal
    replay_net: Decimal
    live_trades: int
    replay_trades: int
    differences: Sequence[Difference]

    def by_cause(self) -> dict[str, tuple[int, Decimal]]:
        """Number and cash of the differences of every cause."""
        found: dict[str, list[Decimal]] = {cause: [] for cause in CAUSES}
        for difference in self.differences:
            found[difference.cause].append(difference.cash)
        return {cause: (len(cash), total(cash)) for cause, cash in found.items()}
