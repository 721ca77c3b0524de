"""Random ledgers of an account that keeps its books as the broker does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sep_journal.domain.ledger import Charges, Closed, Opened, TradeAmount, Transaction

D = Decimal
ZERO = D(0)
SPREAD = D("0.05")
PRICE = D("1.1")


@dataclass
class Account:
    """Books fills, financing and transfers; the balance is what every amount adds up to."""

    balance: Decimal = ZERO
    entries: list[Transaction] = field(default_factory=list)
    open_units: dict[int, Decimal] = field(default_factory=dict)
    transfers: Decimal = ZERO

    @property
    def next_id(self) -> int:
        return len(self.entries) + 1

    def add(self, **values: object) -> Transaction:
        entry = Transaction(
            **{"id": self.next_id, "ts_ms": 1_700_000_000_000 + self.next_id * 60_000, **values}  # type: ignore[arg-type]
        )
        self.entries.append(entry)
        return entry

    def transfer(self, amount: Decimal) -> None:
        self.balance += amount
        self.transfers += amount
        self.add(type="TRANSFER_FUNDS", account_balance=self.balance)

    def order(self, **values: object) -> Transaction:
        return self.add(**{"type": "MARKET_ORDER", "instrument": "EUR_USD", **values})

    def fill(
        self,
        *,
        closes: Sequence[tuple[int, Decimal, Decimal]] = (),
        opens: Decimal = ZERO,
        commission: Decimal = ZERO,
        fee: Decimal = ZERO,
        financing: Decimal = ZERO,
        unexplained: Decimal = ZERO,
        spread: Decimal = SPREAD,
        price: Decimal = PRICE,
        reason: str = "MARKET_ORDER",
        order_id: str = "",
        client_order_id: str = "",
        hidden_balance: bool = False,
    ) -> Transaction:
        """A fill: ``closes`` are trade, units as the fill, and result."""
        charges = Charges(half_spread_cost=spread, guaranteed_execution_fee=fee)
        closed = tuple(
            Closed(
                trade_id=trade,
                units=units,
                price=price,
                realized_pl=pl,
                charges=Charges(
                    half_spread_cost=spread, guaranteed_execution_fee=fee, financing=financing
                ),
            )
            for trade, units, pl in closes
        )
        opened = None
        if opens:
            opened = Opened(
                trade_id=self.next_id, units=opens, price=price, client_tag="sep", charges=charges
            )
            self.open_units[self.next_id] = opens
        for trade, units, _ in closes:
            self.open_units[trade] += units
            if not self.open_units[trade]:
                del self.open_units[trade]
        members = len(closed) + bool(opened)
        self.balance += sum((pl for _, _, pl in closes), D(0)) + financing * len(closed)
        self.balance += unexplained - commission - fee * members
        return self.add(
            type="ORDER_FILL",
            reason=reason,
            instrument="EUR_USD",
            order_id=order_id,
            client_order_id=client_order_id,
            units=opens + sum((units for _, units, _ in closes), D(0)),
            price=price,
            account_balance=None if hidden_balance else self.balance,
            opened=opened,
            closed=closed,
            charges=Charges(commission=commission, gain_factor=D("0.9"), loss_factor=D("0.91")),
        )

    def roll_over(self, amount: Decimal, unexplained: Decimal = ZERO) -> None:
        shares = tuple(TradeAmount(trade_id=t, amount=amount) for t in sorted(self.open_units))
        self.balance += amount * len(shares) + unexplained
        self.add(type="DAILY_FINANCING", account_balance=self.balance, trade_amounts=shares)
