"""Entries of the broker's ledger, as the gateway gives them. Money is in home currency."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """Costs that the broker names; None where it names none.

    ``financing`` is signed, the others are positive for a cost. The factors are home currency per
    unit of the quote currency, ``bid`` and ``ask`` the best prices at the fill.
    """

    financing: Decimal | None = None
    commission: Decimal | None = None
    guaranteed_execution_fee: Decimal | None = None
    half_spread_cost: Decimal | None = None
    home_conversion_cost: Decimal | None = None
    gain_factor: Decimal | None = None
    loss_factor: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None


NO_CHARGES = Charges()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A trade that a fill opened; ``units`` are signed."""

    trade_id: int
    units: Decimal
    price: Decimal
    client_tag: str = ""
    charges: Charges = NO_CHARGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A trade that a fill closed or reduced; ``units`` have the sign of the fill."""

    trade_id: int
    units: Decimal
    price: Decimal
    realized_pl: Decimal
    charges: Charges = NO_CHARGES


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeAmount:
    """A trade's share of a day's financing or of a dividend, signed."""

    trade_id: int
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One entry; what its type does not have is empty. ``fault`` says what can't be read."""

    id: int
    ts_ms: int
    type: str
    reason: str = ""
    order_id: str = ""
    client_order_id: str = ""
    client_tag: str = ""
    instrument: str = ""
    units: Decimal | None = None
    price: Decimal | None = None
    account_balance: Decimal | None = None
    opened: Opened | None = None
    closed: tuple[Closed, ...] = ()
    charges: Charges = NO_CHARGES
    trade_amounts: tuple[TradeAmount, ...] = ()
    trigger_price: Decimal | None = None
    trade_id: str = ""
    fault: str = ""

    @property
    def creates_order(self) -> bool:
        """Whether it is the creation of an order, which its fill refers to by id."""
        return self.type.endswith("_ORDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Fields of an order's creation that its fill may lack."""

    id: int
    type: str
    client_order_id: str = ""
    client_tag: str = ""
    instrument: str = ""
    trigger_price: Decimal | None = None

    @classmethod
    def of(cls, transaction: Transaction) -> "Order":
        """The order that a transaction creates."""
        return cls(
            id=transaction.id,
            type=transaction.type,
            client_order_id=transaction.client_order_id,
            client_tag=transaction.client_tag,
            instrument=transaction.instrument,
            trigger_price=transaction.trigger_price,
        )
