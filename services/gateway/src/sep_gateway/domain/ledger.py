"""Whether every transaction of the account was seen: ids count up by one.

A heartbeat and the account summary tell the newest id as well, so a stream that loses
a transaction, or falls silent, is found out within seconds.
"""

from dataclasses import dataclass, replace

from sep_gateway.domain.transactions import TransactionPage


@dataclass(frozen=True, slots=True)
class Ledger:
    """``seen`` is the id up to which nothing is missing, ``newest`` the newest heard of."""

    seen: int
    newest: int

    @property
    def contiguous(self) -> bool:
        """Whether nothing is missing, as far as is known."""
        return self.seen >= self.newest

    def heard_of(self, transaction_id: int) -> "Ledger":
        """After the broker named its newest transaction."""
        return replace(self, newest=max(self.newest, transaction_id))

    def saw(self, transaction_id: int) -> "Ledger":
        """After a transaction came in: it counts only right behind those seen before."""
        seen = transaction_id if transaction_id == self.seen + 1 else self.seen
        return Ledger(seen, max(self.newest, transaction_id))

    def recovered(self, last_id: int) -> "Ledger":
        """After the broker gave every transaction up to an id."""
        return Ledger(max(self.seen, last_id), max(self.newest, last_id))


def disagreement(one: TransactionPage, other: TransactionPage) -> tuple[int, ...]:
    """Ids that only one of two answers holds, as far as both reach."""
    last = min(one.last_id, other.last_id)
    ids = ({t.id for t in page.transactions if t.id <= last} for page in (one, other))
    first, second = ids
    return tuple(sorted(first ^ second))
