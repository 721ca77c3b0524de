"""Outcomes of requests: the transactions created, by role."""

from dataclasses import dataclass

from sep_paper_broker.account.transactions import Transaction

# The ids of all transactions of a request, oldest first.
Related = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """The outcome of an order request.

    Either ``reject`` alone, or ``create`` with ``fill`` or ``cancel``.
    """

    related: Related
    create: Transaction | None = None
    fill: Transaction | None = None
    cancel: Transaction | None = None
    reject: Transaction | None = None


@dataclass(frozen=True, slots=True)
class CloseoutOutcome:
    """The outcome of closing a position; None for a side not requested."""

    related: Related
    long: OrderOutcome | None = None
    short: OrderOutcome | None = None

    @property
    def rejected(self) -> bool:
        """Whether the request was rejected."""
        return any(side is not None and side.reject is not None for side in (self.long, self.short))


@dataclass(frozen=True, slots=True)
class DependentOutcome:
    """The outcome for one dependent order of a trade."""

    cancel: Transaction | None = None
    create: Transaction | None = None
    fill: Transaction | None = None
    reject: Transaction | None = None


@dataclass(frozen=True, slots=True)
class TradeOrdersOutcome:
    """The outcome of changing a trade's dependent orders."""

    related: Related
    take_profit: DependentOutcome = DependentOutcome()
    stop_loss: DependentOutcome = DependentOutcome()

    @property
    def rejected(self) -> bool:
        """Whether the request was rejected."""
        return self.take_profit.reject is not None or self.stop_loss.reject is not None


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """The outcome of a request that creates one transaction."""

    related: Related
    done: Transaction | None = None
    reject: Transaction | None = None
