"""Pulling by dates over HTTP: pages, resuming, limits, and a stack that is down."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sep_data.catalogue import Catalogue
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339

from .candle_files import market_bars
from .test_formats import same

BARS = market_bars(8)
RANGE = ("--instruments", "EUR_USD", "--from", "2024-03-04", "--to", "2024-03-12")


@dataclass
class Api:
    """``GET /api/candles`` as the contract has it: the latest ``limit`` candles of a range."""

    bars: Bars = BARS
    url: str = ""
    asked: list[tuple[int, int]] = field(default_factory=list)
    refuse: list[int] = field(default_factory=list)

    def answer(self, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if self.refuse and (status := self.refuse.pop(0)):
            reason = "RATE_LIMITED" if status == 429 else "BROKER_UNAVAILABLE"
            return status, {
                "code": 14, "message": "try later",
                "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                             "reason": reason, "domain": "sep"}],
            }  # fmt: skip
        since, until = (parse_rfc3339(query[n][0]) // NS_PER_SECOND for n in ("from", "to"))
        self.asked.append((since, until))
        found = self.bars.between(since, until)
        found = found.slice(max(0, len(found) - int(query["limit"][0])), len(found))
        sides = [
            {
                "ts_ms": float(found.time[i] * 1000), "volume": int(found.volume[i]),
                **{s: {p: str(getattr(found, f"{s}_{p}")[i]) for p in "ohlc"}
                   for s in ("bid", "ask")},
            }
            for i in range(len(found))
        ]  # fmt: skip
        return 200, {"instrument": "EUR_USD", "granularity": "M1", "candles": sides}


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = found.answer(parse_qs(urlsplit(self.path).query))
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def stored(folder: Path) -> Bars:
    return Catalogue.existing(folder).load("EUR_USD", Granularity.M1)


def test_a_range_longer_than_a_page_is_pulled_whole(
    tmp_path: Path, sep_data: Any, api: Api
) -> None:
    code, out, _ = sep_data("pull", tmp_path / "c", *RANGE, "--url", api.url)
    assert (code, out) == (0, f"EUR_USD M1: {len(BARS)} bars\n")
    same(stored(tmp_path / "c"), BARS)
    assert len(api.asked) == 3
    assert sep_data("check", tmp_path / "c")[0] == 0


def test_an_interrupted_pull_goes_on_where_it_ended(
    tmp_path: Path, sep_data: Any, api: Api
) -> None:
    api.refuse = [0, 503]
    code, _, err = sep_data("pull", tmp_path / "c", *RANGE, "--url", api.url)
    assert code == 1
    assert "(BROKER_UNAVAILABLE)" in err
    first = stored(tmp_path / "c")
    assert 0 < len(first) < len(BARS)
    api.asked.clear()
    assert sep_data("pull", tmp_path / "c", *RANGE, "--url", api.url)[0] == 0
    same(stored(tmp_path / "c"), BARS)
    assert api.asked[0][0] == int(first.time[-1]) + 60


def test_a_limit_on_calls_is_waited_out(tmp_path: Path, sep_data: Any, api: Api) -> None:
    api.refuse = [429]
    assert sep_data("pull", tmp_path / "c", *RANGE, "--url", api.url)[0] == 0
    same(stored(tmp_path / "c"), BARS)


def test_a_stack_that_is_down_has_its_own_exit_code(tmp_path: Path, sep_data: Any) -> None:
    code, _, err = sep_data("pull", tmp_path / "c", *RANGE, "--url", "http://127.0.0.1:9")
    assert code == 69
    assert "the stack does not answer" in err


def test_a_range_that_ends_before_it_begins_is_refused(tmp_path: Path, sep_data: Any) -> None:
    swapped = ("--instruments", "EUR_USD", "--from", "2024-03-12", "--to", "2024-03-04")
    code, _, err = sep_data("pull", tmp_path / "c", *swapped)
    assert code == 1
    assert "is not before the end" in err
