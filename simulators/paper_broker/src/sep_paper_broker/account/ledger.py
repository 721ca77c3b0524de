"""The account's transactions, numbered without gaps from 1."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sep_paper_broker.account.transactions import Body, Transaction


@dataclass(frozen=True, slots=True)
class Change:
    """A batch of transactions: their time, the id of the first and the client's request id."""

    time: int
    batch_id: str
    request_id: str | None = None


class Ledger:
    """The append-only list of transactions. Transaction n is at index n - 1."""

    def __init__(
        self, account_id: str, user_id: int, transactions: Iterable[Transaction] = ()
    ) -> None:
        self._account_id = account_id
        self._user_id = user_id
        self._transactions = list(transactions)

    def __len__(self) -> int:
        return len(self._transactions)

    @property
    def transactions(self) -> Sequence[Transaction]:
        """All transactions, oldest first."""
        return self._transactions

    @property
    def last_id(self) -> str:
        """The newest transaction's id, "0" before the first."""
        return str(len(self._transactions))

    def begin(self, time: int, request_id: str | None = None) -> Change:
        """Begin a batch of transactions."""
        return Change(time, str(len(self._transactions) + 1), request_id)

    def record(self, change: Change, body: Body) -> Transaction:
        """Append the next transaction of a batch."""
        transaction = Transaction(
            id=str(len(self._transactions) + 1),
            time=change.time,
            user_id=self._user_id,
            account_id=self._account_id,
            batch_id=change.batch_id,
            request_id=change.request_id,
            body=body,
        )
        self._transactions.append(transaction)
        return transaction

    def since(self, transaction_id: int) -> Sequence[Transaction]:
        """The transactions after an id, oldest first."""
        return self._transactions[max(0, transaction_id) :]

    def find(self, transaction_id: str) -> Transaction | None:
        """The transaction with an id; None if there is none."""
        if not transaction_id.isdecimal():
            return None
        index = int(transaction_id) - 1
        return self._transactions[index] if 0 <= index < len(self) else None
