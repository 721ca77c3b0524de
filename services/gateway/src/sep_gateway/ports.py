"""What the gateway needs of a broker and of the store."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sep_fx.granularity import Granularity
from sep_fx.instrument import Instrument

from sep_gateway.domain.account import AccountSummary, OpenTrades, Positions
from sep_gateway.domain.candle_page import CandlePage
from sep_gateway.domain.coverage import BackwardPage, Coverage, ForwardPage
from sep_gateway.domain.orders import MarketOrder, OrderResult, PositionClose
from sep_gateway.domain.pricing import Price, Pricing
from sep_gateway.domain.transactions import Transaction, TransactionPage


@dataclass(frozen=True, slots=True)
class OrderClaim:
    """Word that an order was about to be sent: when, and the newest transaction before it."""

    ts_ms: int
    since_transaction_id: int


class Broker(Protocol):
    """The broker. Every call raises ``BrokerUnavailableError`` when it can't be answered."""

    async def account(self) -> AccountSummary:
        """The account summary, asked once and with little patience: it is the heartbeat."""
        ...

    async def positions(self) -> Positions:
        """Open positions."""
        ...

    async def open_trades(self) -> OpenTrades:
        """Open trades."""
        ...

    async def instruments(self) -> tuple[Instrument, ...]:
        """Tradeable instruments."""
        ...

    async def pricing(self, instruments: Sequence[str]) -> Pricing:
        """Current prices and home conversions."""
        ...

    async def candles(
        self,
        instrument: str,
        granularity: Granularity,
        page: ForwardPage | BackwardPage,
        count: int,
    ) -> CandlePage:
        """Up to ``count`` candles, oldest first, the newest perhaps incomplete."""
        ...

    async def create_market_order(self, order: MarketOrder) -> OrderResult:
        """Send an order once.

        An error means that the broker certainly did not take it; when that is not
        certain, the result is UNKNOWN.
        """
        ...

    async def close_position(self, close: PositionClose) -> OrderResult:
        """Close one side of a position, once; errors and UNKNOWN as with an order."""
        ...

    async def close_trade(self, trade_id: int) -> OrderResult:
        """Close a trade, once; errors and UNKNOWN as with an order."""
        ...

    async def find_order(self, client_order_id: str) -> OrderResult | None:
        """What became of an order, by its client id; None when the broker knows none."""
        ...

    async def transactions_since(self, transaction_id: int) -> TransactionPage:
        """Every transaction after the given one."""
        ...

    async def changes_since(self, transaction_id: int) -> TransactionPage:
        """Every transaction after the given one, as the account's changes tell it."""
        ...

    async def last_transaction_id(self) -> int:
        """Id of the account's newest transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat: the connection lives; of the market it says nothing.

    ``time_ns`` is the broker's when it sent it; ``last_transaction_id`` is the account's
    newest, None on the price stream.
    """

    time_ns: int
    last_transaction_id: int | None = None


class Streams(Protocol):
    """The broker's streams; each ends with a ``BrokerUnavailableError``."""

    def prices(self, instruments: Sequence[str]) -> AsyncGenerator[Price | Beat, None]:
        """The current prices, then every new one."""
        ...

    def transactions(self) -> AsyncGenerator[Transaction | Beat, None]:
        """Every new transaction."""
        ...


class OrderClaims(Protocol):
    """Which client order ids were used; all calls raise ``StoreUnavailableError``."""

    async def claim(self, client_order_id: str, claim: OrderClaim) -> OrderClaim | None:
        """Claim an id; the earlier claim when it is taken, None when it is ours now."""
        ...

    async def read(self, client_order_id: str) -> OrderClaim | None:
        """The claim of an id."""
        ...

    async def replace(self, client_order_id: str, old: OrderClaim, new: OrderClaim) -> bool:
        """Put a new claim in place of an old one; False when somebody else did."""
        ...

    async def release(self, client_order_id: str) -> None:
        """Give an id back whose order was certainly not sent."""
        ...


class CoverageStore(Protocol):
    """How far each instrument's history is known; calls raise ``StoreUnavailableError``."""

    async def read(self, instrument: str, granularity: Granularity) -> Coverage | None:
        """The stretch of history that is complete; None when none is."""
        ...

    async def write(self, instrument: str, granularity: Granularity, coverage: Coverage) -> None:
        """Remember it."""
        ...
