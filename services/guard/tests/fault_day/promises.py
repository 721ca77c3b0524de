"""What holds after every cycle of the day, and at its end, by the broker's own books."""

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter
from sep_guard.adapters.decision_records import DecisionRecord
from sep_guard.adapters.remade_decisions import decide_again
from sep_guard.application.reconcile import Cycle
from sep_guard.domain.actions import Kind
from sep_guard.domain.orders import Outcome
from sep_kit.store import keys
from sep_kit.store.connection import reply
from sep_paper_broker.account.transactions import Transaction

from .stand import OWN_TAG, PAIRS, Stand, margin_of

D = Decimal
TARGET, TOP_K, BAND = D("0.30"), 3, D("0.10")
# Prices move between a plan and the look at the account that follows its orders.
_MOVED = D("1.01")
# A stop or a take profit, or the broker's own closeout: no order of the stack led to these fills.
_BY_BROKER = {"STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER", "MARKET_ORDER_MARGIN_CLOSEOUT"}
# Why a cycle may be left out.
_REASONS_TO_SKIP = {"VIEW_STALE", "BROKER_UNAVAILABLE", "PEER_UNAVAILABLE"}


class Promises:
    """Looks at the account after each cycle.

    A cycle counts only where the broker could have carried out its closes; of these no two in a
    row may end over a cap or with a trade that has no stop.
    """

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._over: Counter[str] = Counter()
        self._naked: Counter[str] = Counter()
        self._ledger_seen = 0
        self._managed = dict.fromkeys(PAIRS, D(0))
        self.worst: Counter[str] = Counter()

    def before_cycle(self) -> None:
        """Note what is held, and what the ledger has."""
        stand = self._stand
        self._managed = {
            p: sum((t.current_units for t in stand.own_trades(p)), D(0)) for p in PAIRS
        }
        self._ledger_seen = len(stand.ledger)

    def after_cycle(self, cycle: Cycle | None, *, closes_work: bool) -> None:
        """Check what must hold after a cycle; None is one that was left out."""
        self._check_entries(cycle)
        if cycle is None or not closes_work:
            return
        self._check_caps()
        self._check_stops()

    def _check_entries(self, cycle: Cycle | None) -> None:
        """At most one entry for each instrument, decided on what is really held."""
        stand = self._stand
        new = stand.ledger[self._ledger_seen :]
        opened = [t for t in new if _opens(t) and t.id not in stand.of_second_writer
                  and t.id not in stand.by_hand]  # fmt: skip
        assert not (opened and stand.killed), f"entry under an engaged kill switch: {opened}"
        counts = Counter(_body(t).instrument for t in opened)
        assert not counts or max(counts.values()) == 1, f"two entries in one cycle: {opened}"
        for done in cycle.done if cycle is not None else ():
            action = done.action
            if action.kind is Kind.ENTRY and done.result and done.result.filled_units:
                held = self._managed.get(action.instrument, D(0))
                assert action.current == held, f"decided on {action.current}, held {held}"
                assert abs(held + done.result.filled_units) <= abs(action.target), action

    def _check_caps(self) -> None:
        stand = self._stand
        account = stand.account
        figures = account.valuation()
        ceiling = min(figures.balance * TARGET, figures.nav * TARGET / (1 + TARGET))
        own = [t for t in stand.own_trades() if stand.tradeable(t.instrument)]
        over = {}
        if own and figures.margin_used > ceiling * (1 + BAND) * _MOVED:
            over["account"] = f"{figures.margin_used} over {ceiling}"
        for pair in PAIRS:
            margin = margin_of(account, [t for t in own if t.instrument == pair])
            others = min(figures.margin_used - margin, ceiling)
            share = TARGET / TOP_K
            free = max(D(0), min(figures.balance, (figures.nav - others) / (1 + share)))
            if margin > free * share * (1 + BAND) * _MOVED:
                over[pair] = f"{margin} over {free * share}"
        self._count(self._over, over, "over its cap")

    def _check_stops(self) -> None:
        stand = self._stand
        naked = {
            t.id: f"{t.current_units} {t.instrument}"
            for t in stand.own_trades()
            if t.stop_loss_order_id is None and stand.tradeable(t.instrument)
        }
        self._count(self._naked, naked, "without a stop")

    def _count(self, counts: Counter[str], now: dict[str, str], what: str) -> None:
        for gone in counts.keys() - now.keys():
            del counts[gone]
        for name, figures in now.items():
            counts[name] += 1
            self.worst[what] = max(self.worst[what], counts[name])
            assert counts[name] <= 1, f"{name} {what} after two cycles in a row: {figures}"

    # The end of the day.

    async def at_the_end(self) -> None:
        """Nothing lost, double or unexplained over the whole day."""
        stand = self._stand
        assert not stand.skipped.keys() - _REASONS_TO_SKIP, stand.skipped
        assert not await reply(stand.store.exists(keys.OPEN_ORDERS)), "an order was never settled"
        orders = [r for r in stand.records if r["event"] == "order"]
        self._check_every_fill_has_its_record(orders)
        _check_order_of_outcomes(orders)
        _check_every_order_has_its_decision(stand.records, orders)
        _check_every_decision_can_be_made_again(stand.records)

    def _check_every_fill_has_its_record(self, orders: list[dict[str, Any]]) -> None:
        """The ledger and the log tell of the same fills, to the unit."""
        stand = self._stand
        logged_entries: dict[str, D] = {}
        logged_closes: dict[str, D] = defaultdict(D)
        seen = set()
        for record in orders:
            if record["outcome"] != Outcome.FILLED or record["client_order_id"] in seen:
                continue
            # A write whose answer was lost is repeated: one fill may be recorded twice.
            seen.add(record["client_order_id"])
            if record["trade_id"]:
                logged_closes[record["trade_id"]] += D(record["filled_units"])
            else:
                logged_entries[record["client_order_id"]] = D(record["filled_units"])
        entries: dict[str, D] = {}
        closes: dict[str, D] = defaultdict(D)
        own = set[str]()
        for transaction in stand.ledger:
            body = _body(transaction)
            if body.type != "ORDER_FILL":
                continue
            made_elsewhere = transaction.id in stand.by_hand | stand.of_second_writer
            opened = body.trade_opened
            if opened is not None and _tag(opened) == OWN_TAG:
                own.add(opened.trade_id)
            if made_elsewhere or body.reason in _BY_BROKER:
                continue
            if body.client_order_id:
                assert body.client_order_id not in entries, f"filled twice: {transaction}"
                entries[body.client_order_id] = body.units
                continue
            assert body.reason == "MARKET_ORDER_TRADE_CLOSE", f"unexplained fill: {transaction}"
            for part in (*(body.trades_closed or ()), *filter(None, (body.trade_reduced,))):
                assert part.trade_id in own, f"closed a trade that was opened by hand: {part}"
                closes[part.trade_id] += part.units
        for ledger, log in ((entries, logged_entries), (closes, logged_closes)):
            odd = {k: (ledger.get(k), log.get(k)) for k in ledger.keys() | log.keys()
                   if ledger.get(k) != log.get(k)}  # fmt: skip
            logged = [r for r in orders if r["client_order_id"] in odd or r["trade_id"] in odd]
            assert not odd, f"units in ledger and log: {odd}; the log: {logged}"


def _check_order_of_outcomes(orders: list[dict[str, Any]]) -> None:
    """While the outcome of an entry is unknown, nothing else is entered in its instrument."""
    unknown: dict[str, str] = {}
    for record in orders:
        name, client_id = record["instrument"], record["client_order_id"]
        if unknown.get(name) == client_id:
            if record["outcome"] != Outcome.UNKNOWN:
                del unknown[name]
        elif not record["trade_id"]:
            assert name not in unknown, f"entered while {unknown[name]} was unknown: {record}"
            if record["outcome"] == Outcome.UNKNOWN:
                unknown[name] = client_id
    assert not unknown


def _check_every_order_has_its_decision(
    records: list[dict[str, Any]], orders: list[dict[str, Any]]
) -> None:
    explained = {
        r["id"]: r for r in records if r["event"] in ("decision", "stop", "flatten", "drain")
    }
    for order in orders:
        decision = explained.get(order["id"])
        assert decision is not None, f"an order without a decision: {order}"
        assert decision.get("reasons") or decision.get("fault"), decision
        assert (
            order["outcome"] in (Outcome.FILLED, Outcome.UNKNOWN)
            or order["reason"]
            or (order["outcome"] == Outcome.NEVER_RECEIVED)
        ), f"refused without a reason: {order}"


def _check_every_decision_can_be_made_again(records: list[dict[str, Any]]) -> None:
    parse = TypeAdapter(DecisionRecord).validate_python
    for record in records:
        if record["event"] != "decision":
            continue
        assert record["reasons"], f"a decision without a reason: {record}"
        decision = parse(record)
        assert decide_again(decision) == decision.to_action(), record


def _body(transaction: Transaction) -> Any:
    return transaction.body


def _opens(transaction: Transaction) -> bool:
    body = _body(transaction)
    return body.type == "ORDER_FILL" and body.trade_opened is not None


def _tag(opened: Any) -> str | None:
    return None if opened.client_extensions is None else opened.client_extensions.tag
