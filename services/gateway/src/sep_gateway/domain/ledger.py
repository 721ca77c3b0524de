"""Whether every transaction of the account was received: ids increase by one.

Stream heartbeats and the account summary also name the newest id, so a stream that loses a
transaction or goes silent is noticed within seconds.
"""

from dataclasses import dataclass, replace

from sep_gateway.domain.transactions import TransactionPage


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """``seen`` is the id up to which nothing is missing, ``newest`` the newest id known."""

    seen: int
    newest: int

    @property
    def contiguous(self) -> bool:
        """Whether no transaction is known to be missing."""
        return self.seen >= self.newest

    def announced(self, transaction_id: int) -> "Ledger":
        """State after the broker named its newest transaction."""
        return replace(self, newest=max(self.newest, transaction_id))

    def received(self, transaction_id: int) -> "Ledger":
        """State after a transaction arrived; ``seen`` moves only if it is the next one."""
        seen = transaction_id if transaction_id == self.seen + 1 else self.seen
        return Ledger(seen=seen, newest=max(self.newest, transaction_id))

    def recovered(self, last_id: int) -> "Ledger":
        """State after the broker returned every transaction up to an id."""
        return Ledger(seen=max(self.seen, last_id), newest=max(self.newest, last_id))


def disagreement(one: TransactionPage, other: TransactionPage) -> tuple[int, ...]:
    """Ids that only one of two pages contains, within the range that both cover."""
    last = min(one.last_id, other.last_id)
    ids = ({t.id for t in page.transactions if t.id <= last} for page in (one, other))
    first, second = ids
    return tuple(sorted(first ^ second))
