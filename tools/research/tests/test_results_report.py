"""Reports of a replay and of the live account."""

import json
from pathlib import Path

import httpx
import pytest
from sep_client import Client
from sep_research import commands
from sep_research.cli import main
from sep_research.results import of_journal, of_replay
from sep_research.results_report import results_report

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
