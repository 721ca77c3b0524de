"""Reports of a replay and of the live account."""

import json
import re
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from sep_client import Client
from sep_research import commands
from sep_research.candle_charts import Candles, trade_charts
from sep_research.cli import main
from sep_research.results import ClosedTrade, of_journal, of_replay
from sep_research.results_report import results_report

from .tapes import catalogue_of, noise

TRADES = """\
instrument,trade_id,units,open_time,open_price,close_time,close_price,realized_pl,financing,exit
EUR_USD,1,100,2024-03-04T10:00:00Z,1.1,2024-03-04T11:00:00Z,1.2,30.5,-0.5,TAKE_PROFIT_ORDER
USD_JPY,2,-100,2024-03-05T23:30:00Z,150,2024-03-06T01:00:00Z,151,-12.25,0,REVERSAL
"""
NAV = "day,nav,balance\n2024-03-04,100,100\n2024-03-05,130,130\n2024-03-06,117,117\n"


def replay(folder: Path) -> Path:
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"settings": {}}))
    (folder / "nav.csv").write_text(NAV)
    (folder / "trades.csv").write_text(TRADES)
    return folder


def test_a_replay_is_reported_without_a_network(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert main(["report", str(replay(tmp_path / "new")), "--out", str(out)]) == 0
    text = out.read_text()
    figures = ("2 closed trades, 1 with a gain, net +17.75", "drawdown 10.000%", "+30.00", "-12.25")
    groups = ("Monday", "<td>London</td>", "<td>Sydney</td>", "REVERSAL")
    for word in ("Replay new", "<svg", *figures, *groups):
        assert word in text, word
    assert "http" not in text
    assert "<script" not in text


def test_what_is_no_replay_is_named_and_no_file_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = replay(tmp_path / "new")
    (folder / "nav.csv").write_text("day,nav\n2024-03-04,much\n")
    out = tmp_path / "report.html"
    assert main(["report", str(folder), "--out", str(out)]) == 1
    assert "nav.csv" in capsys.readouterr().err
    out.write_text("mine")
    assert main(["report", str(folder), "--out", str(out)]) == 1
    assert out.read_text() == "mine"


PARTS = dict.fromkeys(
    ("signal", "half_spread", "delay", "slippage", "financing", "conversion", "commission",
     "other"), "0.25",
)  # fmt: skip


def trade(number: int, close_time: float | None) -> dict[str, object]:
    found = {
        "id": str(number), "instrument": "EUR_USD", "units": "100", "open_units": "0",
        "open_time": 1_709_546_400_000.0, "open_price": "1.1", "close_price": "1.2",
        "net_pl": "2.00", "decision_ids": [], "exit": "REVERSAL", "own": True,
        "transaction_ids": [], "parts": PARTS,
    }  # fmt: skip
    return found if close_time is None else {**found, "close_time": close_time}


def journal(request: httpx.Request) -> httpx.Response:
    """Two pages of trades, of which one is open, and two days."""
    if request.url.path == "/api/journal/trades":
        if request.url.params.get("page_token"):
            return httpx.Response(200, json={"trades": [trade(1, 1e12)], "next_page_token": ""})
        page = [trade(3, None), trade(2, 1e12)]
        return httpx.Response(200, json={"trades": page, "next_page_token": "2"})
    day = {"date": "2024-03-04", "end_ms": 1.0, "nav": "100", "pl": "0", "transfers": "0",
           "drawdown": 0.0}  # fmt: skip
    days = [day, {**day, "date": "2024-03-05", "nav": "104"}]
    answer = {"net_pl": "4", "transfers": "0", "trades": 2, "days": days, "nav": "104"}
    return httpx.Response(200, json=answer)


def test_live_results_come_from_the_journal_page_by_page() -> None:
    http = httpx.Client(transport=httpx.MockTransport(journal))
    with Client("http://stack", http=http) as client:
        found = of_journal(client, 1, None)
    assert [t.net for t in found.trades] == [2, 2]
    text = results_report(found)
    for word in ("Live results", "2 closed trades", "net +4.00", "half spread", "+0.50"):
        assert word in text, word


def test_a_stack_that_does_not_answer_is_another_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "live.html"
    assert main(["report", "live", "--url", "http://127.0.0.1:9", "--out", str(out)]) == 69
    assert "does not answer" in capsys.readouterr().err
    assert not out.exists()


def test_without_days_and_trades_the_report_says_that(tmp_path: Path) -> None:
    folder = replay(tmp_path / "new")
    (folder / "nav.csv").write_text("day,nav,balance\n")
    (folder / "trades.csv").write_text(TRADES.splitlines()[0] + "\n")
    text = results_report(of_replay(folder))
    assert "no curve" in text
    assert "0 closed trades" in text


def test_every_command_has_a_function() -> None:
    assert set(commands.COMMANDS) == {"sweep", "repeat", "report"}


def test_trades_are_drawn_on_the_candles_of_a_catalogue(tmp_path: Path) -> None:
    # Minute bars from 2024-03-04 on; the two trades are of that day and the next.
    candles = catalogue_of(tmp_path / "c", EUR_USD=noise(1440 * 3, 1))
    out = tmp_path / "report.html"
    run = str(replay(tmp_path / "new"))
    assert main(["report", run, "--candles", str(candles), "--out", str(out)]) == 0
    text = out.read_text()
    assert "EUR_USD: 1 trades" in text
    assert "EUR_USD long, 2024-03-04T10:00:00Z to 2024-03-04T11:00:00Z, net +30.00" in text
    assert text.count('class="trade"') == 2  # among all, and alone
    assert "USD_JPY: no candles of its trades" in text
    assert "http" not in text
    assert "<script" not in text


def test_joined_candles_have_the_extremes_of_their_bars() -> None:
    bars = noise(1000, 2)
    found = Candles.of(bars, 60)
    assert (found.step, len(found.time)) == (300, 200)
    mid = {p: (getattr(bars, f"bid_{p}") + getattr(bars, f"ask_{p}")) / 2 for p in "ohlc"}
    opens, highs, lows, closes = found.prices
    for at in (0, 77, 199):
        five = slice(5 * at, 5 * at + 5)
        assert (highs[at], lows[at]) == (mid["h"][five].max(), mid["l"][five].min())
        assert (opens[at], closes[at]) == (mid["o"][five][0], mid["c"][five][-1])
    assert len(Candles.of(bars.slice(0, 150), 60).time) == 150


def test_a_mark_stands_where_the_trade_was() -> None:
    bars = noise(120, 2)
    opened = int(bars.time[40])
    trade = ClosedTrade(
        instrument="EUR_USD", opened=opened, closed=opened + 600, net=Decimal(-1), exit="STOP",
        side=-1, open_price=float(bars.bid_o[40]), close_price=float(bars.ask_c[49]),
    )  # fmt: skip
    text = "".join(trade_charts([trade], {"EUR_USD": bars}, 60))
    found = re.search(r'class="trade" d="M([\d.]+) [\d.]+L([\d.]+)', text)
    assert found is not None
    # 71 candles, from 30 before the entry to 30 after the exit, over 710 pixels.
    start, end = (float(value) for value in found.groups())
    assert start == pytest.approx(20 + 30 * 10, abs=0.1)
    assert end - start == pytest.approx(10 * 10, abs=0.1)
    assert text.count("<rect") == 2 * 71
