"""The broker's state in two files: a small one replaced whole, and a history only appended to."""

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
    """A state file that can't be used; it is left as it is."""


@dataclass(frozen=True, slots=True)
class MarketOrigin:
    """What the market of a state was made from.

    ``anchor_s`` is where recorded history ends, in seconds since the epoch.
    """

    seed: int
    anchor_s: int


@dataclass(frozen=True, slots=True)
class BrokerState:
    """All that a restart needs; ``processed_ns`` is up to when the account saw the market."""

    origin: MarketOrigin
    processed_ns: int
    account: AccountSnapshot


class StateFile:
    """Reads and writes the state.

    What is over (transactions, ended orders, closed trades) goes to the end of a history
    file, one JSON object a line. What is not is in the state file, with the length of the
    history that belongs to it. The history is written first and the state file takes the
    place of the old one in one step, so a kill at any moment leaves a state and its history;
    what was appended beyond is ignored and overwritten. A change costs the same however long
    the history is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._history = path.with_name(path.name + ".history")
        self._length = 0
        self._count = 0

    def load(self) -> BrokerState | None:
        """The state, None if there is no file yet.

        Raises:
            UnusableStateError: the file is not a state of this version, or its history is
                missing.
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
            origin = MarketOrigin(int(data["seed"]), int(data["anchor_s"]))
            state = BrokerState(origin, int(data["processed_ns"]), account)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise UnusableStateError(f"{self._path} is not a broker's state: {error!r}") from error
        self._length, self._count = length, len(account.transactions)
        return state

    def save(self, account: Account, origin: MarketOrigin, processed_ns: int) -> None:
        """Write what changed.

        Raises:
            OSError: a file can't be written; the old state stands.
        """
        settled = final_records_since(account, self._count)
        lines = "".join(json.dumps(_tagged(value)) + "\n" for value in settled).encode()
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
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_text(json.dumps(state) + "\n", encoding="utf-8")
        beside.replace(self._path)
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
