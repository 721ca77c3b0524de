"""What the account answers to a request: the transactions it made, by their part in it."""

from dataclasses import dataclass

from sep_paper_broker.account.transactions import Transaction

# The ids of all transactions that a request made, oldest first.
Related = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What became of an order request.

    Either ``reject`` alone, or ``create`` with ``fill`` or ``cancel``: an accepted
    order is not a filled one.
    """

    related: Related
    create: Transaction | None = None
    fill: Transaction | None = None
    cancel: Transaction | None = None
    reject: Transaction | None = None


@dataclass(frozen=True, slots=True)
class CloseoutOutcome:
    """What became of closing a position's sides; None for a side not asked for."""

    related: Related
    long: OrderOutcome | None = None
    short: OrderOutcome | None = None

    @property
    def rejected(self) -> bool:
        """Whether the request was refused as a whole."""
        return any(side is not None and side.reject is not None for side in (self.long, self.short))


@dataclass(frozen=True, slots=True)
class DependentOutcome:
    """What became of one dependent order of a trade."""

    cancel: Transaction | None = None
    create: Transaction | None = None
    fill: Transaction | None = None
    reject: Transaction | None = None


@dataclass(frozen=True, slots=True)
class TradeOrdersOutcome:
    """What became of a change of a trade's dependent orders."""

    related: Related
    take_profit: DependentOutcome = DependentOutcome()
    stop_loss: DependentOutcome = DependentOutcome()

    @property
    def rejected(self) -> bool:
        """Whether the request was refused as a whole."""
        return self.take_profit.reject is not None or self.stop_loss.reject is not None


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """What became of a request that makes one transaction."""

    related: Related
    done: Transaction | None = None
    reject: Transaction | None = None
