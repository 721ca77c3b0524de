"""A day on the paper broker against its replay: what differs, and what it is put down to."""

import json
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds
from sep_guard.domain.actions import Kind
from sep_guard.domain.checks import Refusal
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey
from sep_paper_broker.orders.conditions import OrderConditions
from sep_paper_broker.orders.reasons import CancelReason
from sep_replay.cli import main
from sep_replay.engine import Replay
from sep_replay.journal import Topic, plain
from sep_replay.parity.causes import REFUSALS, Cause, cause_of_refusal
from sep_replay.parity.differences import Divergence
from sep_replay.parity.live_day import LiveRecords
from sep_replay.parity.replayed_day import DayReplay
from sep_replay.parity.run import replay_day
from sep_replay.parity.sources import Inputs, StackSources, day_bounds_ms, read_store
from sep_replay.tape import Tape
from sep_testing.valkey import ValkeyServer

from .markets import EIGHT, MONDAY, market_tape
from .played import BALANCE, WIDE, replay_of

D = Decimal
HOURS = 3
PAIRS = EIGHT[:4]
START_MS, END_MS = MONDAY * 1000, (MONDAY + HOURS * 3600) * 1000
KNOBS = {**WIDE, "MARKET_CALENDAR": "24x7", "ALLOC_TOP_K": "8"}
# The services of a stack are not in step with those of a replay.
OUT_OF_STEP = {"PM_RECONCILE_SEC": "20", "EVAL_INTERVAL_SEC": "45", "ALLOC_INTERVAL_SEC": "50"}


@pytest.fixture(scope="module")
def in_step(tape: Tape) -> LiveRecords:
    """The day of a stack that decides at the replay's own times."""
    return traded(tape, {})


@pytest.fixture
def live(in_step: LiveRecords) -> LiveRecords:
    """The same, for a test that changes it."""
    return deepcopy(in_step)


@pytest.fixture(scope="module")
def tape() -> Tape:
    return market_tape(PAIRS, Granularity.M1, HOURS, 7)


def live_day(replay: Replay) -> LiveRecords:
    """What the journal would have of the day that a replay traded."""
    replay.run()
    played = DayReplay.day(replay) if isinstance(replay, DayReplay) else None
    assert played is not None
    entries = {
        (d.instrument, d.signal.ended_ms if d.signal else 0): d.id
        for d in played.decisions
        if d.kind == Kind.ENTRY
    }
    closes = [d for d in played.decisions if d.kind == Kind.REDUCTION]
    trades = []
    for trade in played.trades:
        ids = [entries[trade.instrument, trade.signal_ms]]
        ids += [
            d.id for d in closes if d.instrument == trade.instrument and d.ts_ms == trade.closed_ms
        ]
        is_open = trade.exit == "open"
        trades.append(
            {
                "id": trade.id,
                "instrument": trade.instrument,
                "units": f"{trade.units:f}",
                "open_units": f"{trade.units:f}" if is_open else "0",
                "open_time": trade.opened_ms,
                "close_time": None if is_open else trade.closed_ms,
                "open_price": f"{trade.open_price:f}",
                "close_price": "" if is_open else f"{trade.close_price:f}",
                "net_pl": "0" if is_open else f"{trade.net:f}",
                "decision_ids": ids,
                "exit": "" if is_open else "MARKET_ORDER" if len(ids) > 1 else trade.exit,
                "own": True,
            }
        )
    filled = {e.data["id"]: e.data["filled"] for e in replay.journal.of(Topic.ORDER)}
    cuts = {(e.time, e.subject) for e in replay.journal.of(Topic.LIMIT) if e.data["kind"] == "CUT"}
    events = {e.data["id"]: e for e in replay.journal.of(Topic.DECISION)}
    decisions: list[dict[str, Any]] = []
    for decision in played.decisions:
        event = events[decision.id]
        bounds = [1] if (event.time, event.subject) in cuts else []
        record = {"market": plain(event.data["market"]), "action": {"bounds": bounds}}
        decisions.append(
            {
                "id": decision.id,
                "ts_ms": decision.ts_ms,
                "last_ts_ms": decision.last_ts_ms,
                "event": "decision",
                "kind": decision.kind,
                "instrument": decision.instrument,
                "reasons": list(decision.reasons),
                "record": record,
            }
        )
        if decision.id in filled:
            outcome = "FILLED" if filled[decision.id] else "CANCELLED"
            decisions.append({**decisions[-1], "event": "order", "record": {"outcome": outcome}})
    document = {
        "start_ms": START_MS,
        "end_ms": END_MS,
        "balance": str(BALANCE),
        "trades": trades,
        "decisions": decisions,
    }
    return LiveRecords.of(json.loads(json.dumps(document)))


def traded(tape: Tape, knobs: Mapping[str, str] = OUT_OF_STEP, **options: Any) -> LiveRecords:
    options.setdefault("open_gates", True)
    settings = replay_of(tape, {**KNOBS, **knobs}, **options)._settings
    return live_day(
        DayReplay(tape, settings, MONDAY, MONDAY + HOURS * 3600, warm_up_days=0, carried={})
    )


def divergence(tape: Tape, live: LiveRecords, **options: Any) -> Divergence:
    options.setdefault("open_gates", True)
    return replay_day(live, Inputs(tape, {}), KNOBS, warm_up_days=0, **options)


def causes(found: Divergence) -> set[Cause]:
    return {cause for cause, (count, _) in found.by_cause().items() if count}


def exact(found: Divergence) -> Divergence:
    assert sum(d.cash for d in found.differences) == found.live_net - found.replay_net
    assert found.by_cause()[Cause.UNEXPLAINED] == (0, D(0))
    return found


def test_an_undisturbed_day_has_nothing_unexplained(tape: Tape) -> None:
    """Services out of step decide some seconds apart, at other prices, and so at other sizes."""
    found = exact(divergence(tape, traded(tape)))
    assert found.live_trades >= 8
    assert causes(found) <= {Cause.PRICE, Cause.SIZE, Cause.TIMING, Cause.SIGNAL, Cause.GATE}


def test_the_same_day_has_no_difference(tape: Tape, live: LiveRecords) -> None:
    found = exact(divergence(tape, live))
    assert found.live_trades >= 8
    assert not found.differences


def without(tape: Tape, instrument: str, first: int, count: int) -> Tape:
    """A tape whose candles of one instrument are others for a while."""
    bars = tape.bars[instrument]
    at = np.arange(len(bars))
    moved = (at >= first) & (at < first + count)
    columns = {}
    for name in Bars.__slots__:
        column = getattr(bars, name)
        factor = 1.002 if name.startswith(("bid", "ask")) else 1
        columns[name] = np.where(moved, column * factor, column).astype(column.dtype)
    return Tape(tape.granularity, {**tape.bars, instrument: Bars(**columns)})


def test_candles_that_live_saw_otherwise_are_data(tape: Tape) -> None:
    live = traded(without(tape, "EUR_USD", 90, 30), {})
    found = exact(divergence(tape, live))
    own = [d for d in found.differences if d.instrument == "EUR_USD"]
    assert any(d.cause is Cause.DATA for d in own)


def test_gates_that_were_closed_live_are_gate(tape: Tape) -> None:
    """The guard of a replay has nothing to decide without a weight; a real one refuses."""
    live = traded(tape, {}, open_gates=False)
    for n, instrument in enumerate(PAIRS):
        refusal = {"id": f"g{n}", "event": "decision", "kind": "REFUSAL", "instrument": instrument}
        span = {"ts_ms": START_MS, "last_ts_ms": END_MS, "reasons": ["NO_WEIGHT"], "record": {}}
        live.decisions.append({**refusal, **span})
    found = exact(divergence(tape, live))
    assert found.live_trades == 0
    assert causes(found) == {Cause.GATE}


def test_gates_that_were_open_live_alone_are_gate(tape: Tape, live: LiveRecords) -> None:
    found = exact(divergence(tape, live, open_gates=False))
    assert found.replay_trades == 0
    assert causes(found) == {Cause.GATE}


def test_other_parameters_are_signal(tape: Tape) -> None:
    params = {i: StrategyParams.from_mapping({"c_min": 0.99}) for i in PAIRS}
    found = exact(divergence(tape, traded(tape, {}, params=params)))
    assert found.live_trades < found.replay_trades
    assert Cause.SIGNAL in causes(found)
    alone = [d for d in found.differences if not d.live_id]
    assert {d.cause for d in alone} == {Cause.SIGNAL}


def test_other_sizes_are_size(tape: Tape) -> None:
    found = exact(divergence(tape, traded(tape, {"PM_MAX_PER_POS_PCT": "0.05"})))
    assert causes(found) >= {Cause.SIZE}
    assert max(found.differences, key=lambda d: abs(d.cash)).cause is Cause.SIZE


def test_orders_that_fill_worse_are_price(tape: Tape) -> None:
    worse = OrderConditions(slippage=D("0.00005"))
    found = exact(divergence(tape, traded(tape, {}, conditions=worse)))
    worst = [d for d in found.differences if d.cause is Cause.PRICE]
    assert len(worst) >= 8
    assert sum(d.cash for d in worst) < 0


def test_a_slow_guard_is_timing(tape: Tape) -> None:
    found = exact(divergence(tape, traded(tape, {"PM_RECONCILE_SEC": "400"})))
    assert found.by_cause()[Cause.TIMING][0] >= 4


def test_refused_orders_are_broker(tape: Tape) -> None:
    refusing = OrderConditions(cancel_opening=CancelReason.MARKET_HALTED)
    found = exact(divergence(tape, traded(tape, {"RISK_MAX_REJECTS": "1000"}, conditions=refusing)))
    assert found.live_trades == 0
    assert causes(found) == {Cause.BROKER}


def test_a_risk_limit_is_limit(tape: Tape) -> None:
    found = exact(divergence(tape, traded(tape, {"RISK_MAX_ENTRIES_PER_HOUR": "2"})))
    assert Cause.LIMIT in causes(found)
    alone = [d for d in found.differences if not d.live_id]
    assert sum(d.cause is Cause.LIMIT for d in alone) >= len(alone) / 2


def by_hand(trade: dict[str, Any]) -> dict[str, Any]:
    return {**trade, "id": "9001", "decision_ids": [], "own": False}


def test_a_trade_by_hand_is_operator(tape: Tape, live: LiveRecords) -> None:
    hand = by_hand(live.trades[0])
    live.trades.append(hand)
    found = exact(divergence(tape, live))
    assert [(d.cause, d.live_id) for d in found.differences] == [(Cause.OPERATOR, "9001")]
    assert found.differences[0].cash == D(hand["net_pl"])


def test_a_close_by_hand_is_operator(tape: Tape, live: LiveRecords) -> None:
    dollars = [t for t in live.trades if t["instrument"].endswith("USD")]
    trade = next(t for t in dollars if len(t["decision_ids"]) > 1)
    trade["decision_ids"] = trade["decision_ids"][:1]
    trade |= {"exit": "MARKET_ORDER_TRADE_CLOSE", "net_pl": str(D(trade["net_pl"]) - 10)}
    rate = D(trade["units"])
    trade["close_price"] = str(D(trade["close_price"]) - 10 / rate)
    found = exact(divergence(tape, live))
    assert max(found.differences, key=lambda d: abs(d.cash)).cause is Cause.OPERATOR


def test_a_kill_switch_is_operator(tape: Tape, live: LiveRecords) -> None:
    at = START_MS + HOURS * 1_800_000
    live.trades[:] = [t for t in live.trades if t["open_time"] < at]
    live.decisions[:] = [d for d in live.decisions if d["ts_ms"] < at]
    for decision in live.decisions:
        decision["last_ts_ms"] = min(decision["last_ts_ms"], at - 1)
    template = next(d for d in live.decisions if d["kind"] == "REFUSAL")
    live.decisions.extend(
        {
            **template,
            "id": f"k{n}",
            "instrument": instrument,
            "reasons": ["KILL_SWITCH", "NO_DIRECTION"],
            "ts_ms": at,
            "last_ts_ms": END_MS,
            "record": {},
        }
        for n, instrument in enumerate(PAIRS)
    )
    found = exact(divergence(tape, live))
    assert len(found.differences) >= 4
    assert causes(found) == {Cause.OPERATOR}


def test_a_stack_that_stood_still_is_timing(tape: Tape, live: LiveRecords) -> None:
    at = START_MS + HOURS * 1_800_000
    live.trades[:] = [t for t in live.trades if t["open_time"] < at]
    live.decisions[:] = [d for d in live.decisions if d["ts_ms"] < at]
    for decision in live.decisions:
        decision["last_ts_ms"] = min(decision["last_ts_ms"], at - 1)
    found = exact(divergence(tape, live))
    assert causes(found) == {Cause.TIMING}


def test_every_refusal_has_a_cause() -> None:
    assert REFUSALS.keys() == {r.value for r in Refusal}


def test_what_the_breaker_stops_is_a_limit_though_it_engages_the_kill_switch() -> None:
    assert cause_of_refusal(["KILL_SWITCH"]) is Cause.OPERATOR
    assert cause_of_refusal(["KILL_SWITCH", "BREAKER_TRIPPED"]) is Cause.LIMIT
    assert cause_of_refusal(["NEW_REASON"]) is Cause.UNEXPLAINED


def test_a_position_of_the_day_before_is_carried_and_not_compared(
    tape: Tape, live: LiveRecords
) -> None:
    """The replay holds it too, so that the rest of the day is the same kind of day."""
    live.trades.append(
        {
            **by_hand(live.trades[0]),
            "own": True,
            "instrument": "EUR_USD",
            "units": "1000",
            "open_time": START_MS - 60_000,
            "close_time": END_MS - 60_000,
        }
    )
    found = divergence(tape, live)
    assert "9001" not in {d.live_id for d in found.differences}
    assert sum(d.cash for d in found.differences) == found.live_net - found.replay_net


HEADER = "time,bid_o,bid_h,bid_l,bid_c,ask_o,ask_h,ask_l,ask_c"
PRICES = HEADER.split(",")[1:]


def written(folder: Path, tape: Tape) -> Path:
    for name, bars in tape.bars.items():
        rows = [
            ",".join([format_seconds(int(t)), *(repr(float(getattr(bars, c)[n])) for c in PRICES)])
            for n, t in enumerate(bars.time)
        ]
        (folder / f"{name}_M1_2026-03.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return folder


def document_of(live: LiveRecords) -> str:
    return json.dumps({**asdict(live), "balance": str(live.balance)})


def test_the_command_writes_every_cause_and_difference(
    tape: Tape, live: LiveRecords, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live.trades.append(by_hand(live.trades[0]))
    (tmp_path / "live.json").write_text(document_of(live))
    (tmp_path / "candles").mkdir()
    knobs = [f"--set={name}={value}" for name, value in KNOBS.items()]
    folder = written(tmp_path / "candles", tape)
    given = [f"--candles={folder}", f"--live={tmp_path}/live.json", "--warm-up-days=0"]
    arguments = ["parity", "--day", "2026-03-02", *given, "--open-gates", *knobs]
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [c["cause"] for c in answer["causes"]] == list(Cause)
    (difference,) = answer["differences"]
    assert (difference["cause"], difference["live_id"]) == ("operator", "9001")
    assert D(answer["live_net"]) - D(answer["replay_net"]) == D(difference["cash"])
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert "no decision of this stack opened it" in table
    assert all(cause in table for cause in Cause)


def test_a_file_that_holds_no_day_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "live.json").write_text("{}")
    assert main(["parity", "--day", "2026-03-02", f"--live={tmp_path}/live.json"]) == 1
    assert "live side of the day can't be read" in capsys.readouterr().err


async def test_candles_and_parameters_come_from_the_stacks_valkey(valkey: ValkeyServer) -> None:
    store = open_valkey(valkey.url)
    await store.set(keys.best_config("EUR_USD"), json.dumps({"c_min": 0.6}))
    await store.aclose()
    knobs = {"VALKEY_URL": valkey.url, "HOTBAND_PAIRS": "EUR_USD"}
    inputs = await read_store(load_settings(EvaluatorSettings, knobs), MONDAY, MONDAY + 3600)
    assert inputs.params["EUR_USD"].c_min == 0.6
    assert inputs.tape.instruments == ("EUR_USD",)
    gone = load_settings(EvaluatorSettings, {**knobs, "VALKEY_URL": "redis://127.0.0.1:1/0"})
    with pytest.raises(ValueError, match="VALKEY_URL names"):
        await read_store(gone, MONDAY, MONDAY + 3600)


class Journal(BaseHTTPRequestHandler):
    """Answers as the journal does, trades in two pages."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        entry = {"id": "d1", "ts_ms": 1.0, "last_ts_ms": 1.0, "event": "decision"}
        more = not query.get("page_token")
        answers: dict[str, Any] = {
            "/api/journal/trades": {
                "trades": [{"id": "2" if more else "1"}],
                "next_page_token": "t" if more else "",
            },
            "/api/decisions": {"decisions": [entry], "next_page_token": ""},
            "/api/decisions/d1": {"decisions": [entry], "records": ['{"market": null}']},
            "/api/journal/transactions": {
                "transactions": [{"account_balance": ""}, {"account_balance": "12.5"}]
            },
        }
        body = json.dumps(answers[url.path]).encode()
        self.send_response(self.server.status_of(url.path))  # type: ignore[attr-defined]
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class JournalServer(ThreadingHTTPServer):
    """Refuses the first reads of each path, as a stack does that limits what one client reads."""

    def __init__(self, refusals: int) -> None:
        super().__init__(("127.0.0.1", 0), Journal)
        self._refusals = refusals
        self._reads = Counter[str]()

    def status_of(self, path: str) -> int:
        self._reads[path] += 1
        return 429 if self._reads[path] <= self._refusals else 200


@pytest.mark.parametrize("refusals", [0, 3])
def test_what_was_traded_comes_from_the_journal_in_pages(refusals: int) -> None:
    server = JournalServer(refusals)
    pauses: list[float] = []
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        live = StackSources(url, "k" * 32, pauses.append).live(*day_bounds_ms(date(2026, 3, 3)))
    finally:
        server.shutdown()
        server.server_close()
    assert [t["id"] for t in live.trades] == ["2", "1"]
    assert live.decisions[0]["record"] == {"market": None}
    assert live.balance == D("12.5")
    assert pauses == [1.0] * 4 * refusals
    assert format_seconds(live.start_ms // 1000) == "2026-03-02T22:00:00Z"
    with pytest.raises(ValueError, match="does not answer"):
        StackSources(url, None).live(0, 1)


def test_a_stack_that_goes_on_refusing_is_reported() -> None:
    server = JournalServer(10**6)
    Thread(target=server.serve_forever, daemon=True).start()
    pauses: list[float] = []
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(ValueError, match="429"):
            StackSources(url, None, pauses.append).live(0, 1)
    finally:
        server.shutdown()
        server.server_close()
    assert len(pauses) == 60
