"""Replays of recorded candles: decisions, reproducible output, command-line errors."""

import gzip
import json
import os
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sep_evaluator.domain.floors import (
    HOUR_MS,
    BaseFloors,
    FloorsInForce,
    Sample,
    adaptive_floors,
    quartiles_of,
    within_history,
)
from sep_fx.instants import format_seconds, parse_rfc3339
from sep_fx.sessions import MarketCalendar, SessionCalendar
from sep_paper_broker.market.instruments import LISTINGS
from sep_replay.cli import main
from sep_replay.trading_hours import TradingHours

_REPOSITORY = Path(__file__).parents[3]
_SHARED = Path(os.environ.get("SEP_SHARED") or _REPOSITORY.parent / "shared")
REAL = _SHARED / "data" / "candles"

HEADER = "time,bid_o,bid_h,bid_l,bid_c,ask_o,ask_h,ask_l,ask_c"
START = parse_rfc3339("2014-03-03T08:00:00Z") // 10**9
SPREAD = Decimal("0.00002")
ALWAYS = ("--set", "MARKET_CALENDAR=24x7")


def rising(count: int, start: int = START) -> list[str]:
    """Rows of a market that rises half a pip every other minute, so that long trades win."""
    rows, mid = [], Decimal("1.10000")
    for i in range(count):
        opened, mid = mid, mid + (Decimal("0.00005") if i % 2 == 0 else 0)
        bid = [opened, mid, opened, mid]
        prices = [*bid, *(p + SPREAD for p in bid)]
        rows.append(",".join([format_seconds(start + 60 * i), *map(str, prices)]))
    return rows


def write(folder: Path, rows: list[str], name: str = "EUR_USD_M1_2014-03.csv") -> Path:
    (folder / name).write_text("\n".join([HEADER, *rows]) + "\n")
    return folder


def replay(folder: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    assert main([str(folder), "--json", str(out), *options]) == 0
    events: list[dict[str, Any]] = json.loads(out.read_text())["events"]
    return events


def of(events: list[dict[str, Any]], topic: str) -> list[dict[str, Any]]:
    return [e for e in events if e["topic"] == topic]


def bar_at(rows: list[str], time: str) -> list[Decimal]:
    """Prices of the bar that ends at the time."""
    at = (parse_rfc3339(time) // 10**9 - START) // 60 - 1
    return [Decimal(p) for p in rows[at].split(",")[1:]]


def test_a_rising_market_opens_the_gate_and_fills_an_order_of_the_computed_size(
    tmp_path: Path, capsys: Any
) -> None:
    rows = rising(600)
    events = replay(write(tmp_path, rows), tmp_path / "log.json", *ALWAYS)
    (opened,) = [e for e in of(events, "gate") if e["flipped"]]
    assert opened["gate"] is True
    # Eleven trades are ten plus the buffer of a tenth; two passes open the gate.
    assert opened["summary"]["trades"] >= 11
    assert opened["state"]["passes"] == 2
    weights = of(events, "weights")[0]
    assert weights["time"] == opened["time"]
    assert weights["weights"]["EUR_USD"] == pytest.approx(0.10)  # 0.30 * min(1/3, 0.35)

    order = next(e for e in of(events, "order") if e["kind"] == "ENTRY")
    assert (order["subject"], order["filled"]) == ("EUR_USD", True)
    assert order["time"] == opened["time"]
    prices = bar_at(rows, order["time"])
    bid, ask = prices[3], prices[7]
    # A ramp step is a quarter of the budget: 0.25 * 0.30 * 100,000.
    rate = LISTINGS["EUR_USD"].instrument.margin_rate
    units = (Decimal(7_500) / ((bid + ask) / 2 * rate)).to_integral_value(ROUND_DOWN)
    assert Decimal(order["units"]) == units
    assert Decimal(order["answer"]["price"]) == ask
    cost = (units * SPREAD).quantize(Decimal("0.0001"))  # the spread, paid on entry
    assert Decimal(order["nav"]) == 100_000 - cost
    assert order["reasons"] == ["DIRECTION", "RAMP_LIMITED"]

    decision = next(e for e in of(events, "decision") if e["id"] == order["id"])
    stop = Decimal(decision["market"]["signal"]["bracket"]["stop"])
    assert Decimal(decision["brackets"]["stop_loss"]) == ask - stop.quantize(
        Decimal("0.00001"), ROUND_CEILING
    )
    # Every long position in a market that only rises gains.
    assert Decimal(of(events, "nav")[-1]["nav"]) > 100_000
    output = capsys.readouterr().out
    assert "Gate changes (1)" in output
    assert "EUR_USD" in output


def test_the_same_tape_gives_the_same_log_to_the_byte(tmp_path: Path, capsys: Any) -> None:
    folder = write(tmp_path, rising(500))
    logs, tables = [], []
    for name in ("first.json", "second.json"):
        replay(folder, tmp_path / name, *ALWAYS)
        logs.append((tmp_path / name).read_bytes())
        tables.append(capsys.readouterr().out)
    assert logs[0] == logs[1]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    "knob",
    [
        "EVAL_MIN_TRADES=1000",
        "GUARD_MIN_COHERENCE=1",
        "MAX_SPREAD_BPS=0.01",
        "EVAL_INTERVAL_SEC=36000",
    ],
)
def test_a_knob_changes_the_outcome(tmp_path: Path, knob: str) -> None:
    folder = write(tmp_path, rising(500))
    assert of(replay(folder, tmp_path / "a.json", *ALWAYS), "order")
    assert not of(replay(folder, tmp_path / "b.json", *ALWAYS, "--set", knob), "order")


def test_a_closed_market_trades_nothing(tmp_path: Path) -> None:
    saturday = parse_rfc3339("2014-03-08T00:00:00Z") // 10**9
    folder = write(tmp_path, rising(500, saturday))
    events = replay(folder, tmp_path / "log.json")
    assert not of(events, "order")
    assert {"SESSION_CLOSED"} <= {r for e in of(events, "gate") for r in e["reasons"]}


def test_gzipped_files_of_an_instrument_are_joined_by_name(tmp_path: Path) -> None:
    rows = rising(500)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    write(whole, rows)
    for name, part in (("a", rows[:300]), ("b", rows[300:])):
        with gzip.open(parts / f"EUR_USD_M1_{name}.csv.gz", "wt") as out:
            out.write("\n".join([HEADER, *part]) + "\n")
    first = replay(whole, tmp_path / "whole.json", *ALWAYS)
    assert replay(parts, tmp_path / "parts.json", *ALWAYS) == first


def refused(capsys: Any, *arguments: str) -> str:
    assert main(list(arguments)) == 1
    captured = capsys.readouterr()
    assert not captured.out
    return str(captured.err)


def test_an_unlisted_instrument_is_named(tmp_path: Path, capsys: Any) -> None:
    write(tmp_path, rising(3), "XAU_XAG_M1_2014-03.csv")
    error = refused(capsys, str(tmp_path))
    assert "does not list XAU_XAG" in error
    assert "EUR_USD" in error


def test_overlapping_files_are_refused(tmp_path: Path, capsys: Any) -> None:
    rows = rising(10)
    write(tmp_path, rows[:6], "EUR_USD_M1_a.csv")
    write(tmp_path, rows[5:], "EUR_USD_M1_b.csv")
    assert "the files of EUR_USD overlap" in refused(capsys, str(tmp_path))


def test_a_malformed_row_is_named_by_file_and_line_and_can_be_skipped(
    tmp_path: Path, capsys: Any
) -> None:
    rows = rising(10)
    rows[4] = rows[4].replace("1.1", "-1.1", 1)
    write(tmp_path, rows)
    error = refused(capsys, str(tmp_path))
    assert "EUR_USD_M1_2014-03.csv: line 6" in error
    assert main([str(tmp_path), "--skip-bad"]) == 0


def test_mixed_granularities_are_refused(tmp_path: Path, capsys: Any) -> None:
    write(tmp_path, rising(3))
    write(tmp_path, rising(3), "NZD_USD_M5_2014-03.csv")
    assert "one granularity" in refused(capsys, str(tmp_path))


@pytest.mark.parametrize(
    ("knob", "words"),
    [
        ("ALLOC_TOP_K=0", "ALLOC_TOP_K = '0'"),
        ("GUARD_MIN_COHERENCE=0.5", "GUARD_MIN_COHERENCE = '0.5'"),
        ("EVAL_TOP_K=1", "EVAL_TOP_K"),
        ("MARGIN_HYST_LOW=0.9", "MARGIN_HYST_LOW"),
    ],
)
def test_a_bad_knob_is_named(tmp_path: Path, capsys: Any, knob: str, words: str) -> None:
    write(tmp_path, rising(3))
    assert words in refused(capsys, str(tmp_path), "--set", knob)


def test_a_missing_or_empty_folder_is_named(tmp_path: Path, capsys: Any) -> None:
    assert "holds no file" in refused(capsys, str(tmp_path))
    assert "nowhere is not a directory" in refused(capsys, str(tmp_path / "nowhere"))


@pytest.mark.parametrize("bad", [("--set", "X"), ("--balance", "0"), ("--balance", "much")])
def test_bad_arguments_exit_with_2(tmp_path: Path, bad: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), *bad])
    assert ended.value.code == 2


@pytest.mark.timeout(600)
def test_recorded_candles_are_replayed_within_the_limits(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip(f"no {REAL}: set SEP_SHARED to the folder that holds data/candles")
    # One week: sessions, breaks and a weekend.
    for path in sorted(REAL.iterdir()):
        with gzip.open(path, "rt") as lines:
            rows = [line.rstrip() for line in lines][1:7_500]
        write(tmp_path, rows, path.name.removesuffix(".gz"))
    options = ("--set", "EVAL_MIN_TRADES=1", "--set", "EVAL_CALMAR_MIN=0")
    events = replay(tmp_path, tmp_path / "log.json", *options)
    assert len(of(events, "nav")) >= 5
    gates = of(events, "gate")
    assert {e["subject"] for e in gates} == {"EUR_USD", "NZD_USD"}
    for event in of(events, "weights"):
        assert sum(event["weights"].values()) <= 0.30
    for event in of(events, "decision"):
        if event["kind"] == "ENTRY":
            assert all(c["passed"] for c in event["checks"])


def test_floors_in_force_are_those_of_the_history_at_any_time() -> None:
    base = BaseFloors(min_trades=10, calmar=0.15, pnl=0.0)
    rng = np.random.default_rng(1)
    floors, samples, now = FloorsInForce(base), list[Sample](), 1_700_000_000_000
    for _ in range(900):
        now += int(rng.integers(1, 3) * HOUR_MS)
        expected = adaptive_floors(base, quartiles_of(within_history(samples, now)), 0.1)
        assert floors.at(now, "0a", 0.1) == expected
        pnl = float(rng.normal())
        sample = Sample(
            ts=now,
            trades=int(rng.integers(0, 50)),
            calmar=float(rng.normal()),
            pnl=pnl,
            params="0a",
        )
        samples.append(sample)
        floors.add(sample)
    assert floors.at(now, "0b", 0.1) == adaptive_floors(base, None, 0.1)
    assert list(floors.history) == within_history(samples, now)


@pytest.mark.parametrize("calendar", list(MarketCalendar))
def test_trading_hours_agree_with_the_calendar(calendar: MarketCalendar) -> None:
    source = SessionCalendar(calendar)
    hours = TradingHours(source, "NZD_USD")
    for now in range(START, START + 9 * 86_400, 47):
        expected, actual = source.state("NZD_USD", now), hours.at(now)
        assert (actual.open, actual.closes_at, actual.opens_at) == (
            expected.open, expected.closes_at, expected.opens_at,
        )  # fmt: skip
        one = np.array([now])
        left = hours.seconds_to_close("NZD_USD", one)
        assert left.tolist() == source.seconds_to_close("NZD_USD", one).tolist()
