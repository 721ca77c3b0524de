"""The broker's state in two files: a small one that is replaced, and an append-only history."""

import json
from dataclasses import dataclass
from pathlib import Path

from sep_paper_broker.account.account import Account
from sep_paper_broker.account.snapshot import (
    AccountSnapshot,
    FinalRecord,
    assemble,
    final_records_since,
    take_live,
)
from sep_paper_broker.account.trades import Trade
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.codec import Json, decode, encode
from sep_paper_broker.orders.order import MarketOrder, Order, StopLossOrder, TakeProfitOrder

_VERSION = 1
_ORDERS: dict[str, type[Order]] = {
    "MARKET": MarketOrder,
    "STOP_LOSS": StopLossOrder,
    "TAKE_PROFIT": TakeProfitOrder,
}


class UnusableStateError(ValueError):
    """A state file that can't be used. The file is not changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOrigin:
    """The parameters of the market that a state belongs to.

    ``anchor_s`` is the end of recorded history, in seconds since the epoch.
    """

    seed: int
    anchor_s: int


@dataclass(frozen=True, slots=True)
class BrokerState:
    """The persisted state; the account has seen the market up to ``processed_ns``."""

    origin: MarketOrigin
    processed_ns: int
    account: AccountSnapshot


class StateFile:
    """Reads and writes the state.

    Final records (transactions, ended orders, closed trades) are appended to a history file, one
    JSON object a line. Everything else is in the state file, with the length of the history that
    belongs to it. The history is written first, then the state file is replaced atomically, so a
    kill at any moment leaves a state and its history; bytes beyond the recorded length are ignored
    and overwritten. The cost of a change does not depend on the length of the history.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._history = path.with_name(path.name + ".history")
        self._length = 0
        self._count = 0

    def load(self) -> BrokerState | None:
        """Load the state; None if there is no file.

        Raises:
            UnusableStateError: the file is not a state of this version, or its history is missing.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            data = json.loads(text)
            if data["version"] != _VERSION:
                raise UnusableStateError(f"{self._path} has version {data['version']}")
            length = int(data["history_bytes"])
            history = self._read_history(length)
            account = assemble(decode(AccountSnapshot, data["account"]), history)
            origin = MarketOrigin(seed=int(data["seed"]), anchor_s=int(data["anchor_s"]))
            state = BrokerState(origin, int(data["processed_ns"]), account)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise UnusableStateError(f"{self._path} is not a state file: {error!r}") from error
        self._length, self._count = length, len(account.transactions)
        return state

    def save(self, account: Account, origin: MarketOrigin, processed_ns: int) -> None:
        """Persist the changes since the last save.

        Raises:
            OSError: a file can't be written; the previous state remains valid.
        """
        final = final_records_since(account, self._count)
        lines = "".join(json.dumps(_tagged(value)) + "\n" for value in final).encode()
        with self._history.open("r+b" if self._length else "wb") as history:
            history.seek(self._length)
            history.write(lines)
            history.truncate()
        state = {
            "version": _VERSION,
            "seed": origin.seed,
            "anchor_s": origin.anchor_s,
            "processed_ns": processed_ns,
            "history_bytes": self._length + len(lines),
            "account": encode(take_live(account)),
        }
        replacement = self._path.with_name(self._path.name + ".new")
        replacement.write_text(json.dumps(state) + "\n", encoding="utf-8")
        replacement.replace(self._path)
        self._length += len(lines)
        self._count = len(account.book.ledger)

    def _read_history(self, length: int) -> list[FinalRecord]:
        with self._history.open("rb") as history:
            raw = history.read(length)
        if len(raw) < length:
            raise ValueError(f"{self._history} is shorter than {length} bytes")
        return [_untagged(json.loads(line)) for line in raw.splitlines()]


def _tagged(value: FinalRecord) -> Json:
    if isinstance(value, Transaction):
        return {"transaction": encode(value)}
    return {"trade" if isinstance(value, Trade) else "order": encode(value)}


def _untagged(line: Json) -> FinalRecord:
    ((tag, data),) = line.items()
    if tag == "transaction":
        return decode(Transaction, data)
    if tag == "trade":
        return decode(Trade, data)
    return decode(_ORDERS[data["type"]], data)
