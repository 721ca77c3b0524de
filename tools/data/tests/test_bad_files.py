"""Bad bars are left out and counted; a file that is no candle file is refused by name and line."""

from pathlib import Path
from typing import Any

import pytest
from sep_data.catalogue import Catalogue
from sep_fx.granularity import Granularity

from .candle_files import csv_lines, market_bars, write

BARS = market_bars(0.1)
GOOD = "2024-03-04T00:00:00Z,1.1,1.2,1.0,1.1,1.2,1.3,1.1,1.2,5"


def row(time: str, rest: str) -> str:
    return f"2024-03-04T00:{time}Z,{rest}"


BAD_ROWS = {
    "nan": (row("01:00", "nan,1.2,1.0,1.1,1.2,1.3,1.1,1.2,5"), "NOT_A_PRICE"),
    "infinite": (row("01:00", "1.1,inf,1.0,1.1,1.2,1.3,1.1,1.2,5"), "NOT_A_PRICE"),
    "negative": (row("01:00", "-1.1,1.2,-1.2,1.1,1.2,1.3,1.1,1.2,5"), "NOT_A_PRICE"),
    "crossed": (row("01:00", "1.1,1.2,1.0,1.15,1.2,1.3,1.1,1.14,5"), "CROSSED"),
    "high below low": (row("01:00", "1.1,1.0,1.2,1.1,1.2,1.3,1.1,1.2,5"), "HIGH_LOW"),
    "no number": (row("01:00", "x,1.2,1.0,1.1,1.2,1.3,1.1,1.2,5"), "UNREADABLE"),
    "underscore": (row("01:00", "1_1,1.2,1.0,1.1,1.2,1.3,1.1,1.2,5"), "UNREADABLE"),
    "too short": (row("01:00", "1.1,1.2"), "UNREADABLE"),
    "no such date": (GOOD.replace("03-04", "02-30"), "UNREADABLE"),
    "fraction of a second": (GOOD.replace(":00Z", ":00.5Z"), "UNREADABLE"),
    "negative volume": (row("01:00", "1.1,1.2,1.0,1.1,1.2,1.3,1.1,1.2,-5"), "UNREADABLE"),
    "the same again": (GOOD, "DUPLICATE"),
    "other values": (GOOD.replace(",1.3,", ",1.4,"), "DUPLICATE_DIFFERS"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_bar_is_left_out_and_counted(tmp_path: Path, sep_data: Any, name: str) -> None:
    bad, reason = BAD_ROWS[name]
    last = GOOD.replace("T00:00", "T00:02")
    path = write(tmp_path / "EUR_USD_M1.csv", [csv_lines(BARS)[0], GOOD, bad, last])
    code, out, err = sep_data("import", "csv", path, "--out", tmp_path / "c")
    assert (code, err) == (0, "")
    assert f"3 rows, 2 bars, left out 1 {reason}," in out
    assert f"EUR_USD_M1.csv: line 3: {reason}: " in out
    assert len(Catalogue.existing(tmp_path / "c").load("EUR_USD", Granularity.M1)) == 2
    code, out, _ = sep_data("check", tmp_path / "c")
    assert code == 1
    assert f"LEFT_OUT: 1: {reason} at import" in out


HEADER = csv_lines(BARS)[0]
ZONED = "2024-03-04T00:00:00{},1,1,1,1,1,1,1,1,0"
REFUSED = {
    "empty": ("csv", [""], "is empty"),
    "header alone": ("csv", [HEADER], "holds no bar that can be read"),
    "no good bar": ("csv", [HEADER, GOOD.replace("1.1,", "nan,")], "holds no good bar"),
    "columns": ("csv", ["time,price", "x,1"], "line 1: header is 'time,price', expected time,"),
    "swapped columns": ("csv", [HEADER.replace("bid_h,bid_l", "bid_l,bid_h")], "line 1: header"),
    "ticks": ("csv", ["time,bid,ask", "2024-03-04T00:00:00.1Z,1,2"], "ticks instead of bars"),
    "zone and none": (
        "csv", [HEADER, GOOD, GOOD.replace("T00:00:00Z", "T00:01:00")],
        "line 3: time 2024-03-04T00:01:00 is without a time zone",
    ),
    "two zones": (
        "csv", [HEADER, ZONED.format("+09:00"), ZONED.format("-05:00")],
        "line 3: mixes time zones",
    ),
    "no zone": ("csv", [HEADER, ZONED.format("")], "line 2: time 2024-03-04 00:00:00 has no time"),
    "tick rows": ("histdata", ["20240304 000000123,1.1,1.2,0"], "line 1: holds ticks"),
    "another source": ("histdata", ["time,open"], "line 1: 'time,open' is no bar of HistData"),
    "mt5 ticks": ("mt5", ["<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>"], "line 1: holds ticks"),
    "dukascopy ticks": ("dukascopy", ["Gmt time,Ask,Bid,AskVolume,BidVolume"], "holds ticks"),
    "no json": ("oanda-json", ["{", "x"], "line 2: is not JSON"),
    "no candles": ("oanda-json", ['{"candles": []}'], "holds no candle"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_of_another_kind_is_refused_by_name_and_line(
    tmp_path: Path, sep_data: Any, name: str
) -> None:
    kind, lines, message = REFUSED[name]
    path = write(tmp_path / "EUR_USD_M1.csv", lines)
    code, out, err = sep_data("import", kind, path, "--out", tmp_path / "c")
    assert (code, out) == (1, "")
    assert err.startswith(f"sep-data: {path}: ")
    assert message in err
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b\x08\x00damaged", "damaged gzip"),
        (b"PK\x03\x04damaged", "damaged zip"),
        (b"time,\xff\xfe", "line 1: is not utf-8 text"),
        (b"a\nb\0", "line 2: holds a NUL byte"),
    ],
)
def test_a_damaged_file_is_refused(
    tmp_path: Path, sep_data: Any, content: bytes, message: str
) -> None:
    path = tmp_path / "EUR_USD_M1.csv"
    path.write_bytes(content)
    code, _, err = sep_data("import", "csv", path, "--out", tmp_path / "c")
    assert code == 1
    assert message in err


def test_a_missing_file_is_named(tmp_path: Path, sep_data: Any) -> None:
    code, _, err = sep_data("import", "csv", tmp_path / "EUR_USD_M1.csv", "--out", tmp_path / "c")
    assert code == 1
    assert "EUR_USD_M1.csv: can't be read: No such file" in err


def test_ticks_under_the_columns_of_bars_are_refused(tmp_path: Path, sep_data: Any) -> None:
    rows = [ZONED.format("Z").replace(":00:00Z", f":00:{s:02}Z") for s in range(60)]
    path = write(tmp_path / "EUR_USD_M1.csv", [HEADER, *rows])
    code, _, err = sep_data("import", "csv", path, "--out", tmp_path / "c")
    assert code == 1
    assert "ticks instead of bars" in err


def test_one_refused_file_leaves_the_catalogue_as_it_was(tmp_path: Path, sep_data: Any) -> None:
    good = write(tmp_path / "EUR_USD_M1.csv", csv_lines(BARS))
    bad = write(tmp_path / "GBP_USD_M1.csv", ["nothing"])
    assert sep_data("import", "csv", good, bad, "--out", tmp_path / "c")[0] == 1
    assert not (tmp_path / "c").exists()


def test_a_name_without_instrument_or_granularity_needs_the_option(
    tmp_path: Path, sep_data: Any
) -> None:
    path = write(tmp_path / "data.csv", csv_lines(BARS))
    args = ("import", "csv", path, "--out", tmp_path / "c")
    assert "give --instrument" in sep_data(*args)[2]
    assert "give --granularity" in sep_data(*args, "--instrument", "EUR_USD")[2]
    assert sep_data(*args, "--instrument", "EUR_USD", "--granularity", "M1")[0] == 0


def test_an_unknown_time_zone_is_refused_with_what_is_allowed(
    tmp_path: Path, sep_data: Any
) -> None:
    path = write(tmp_path / "EUR_USD_M1.csv", csv_lines(BARS))
    args = ("import", "csv", path, "--out", tmp_path / "c", "--time-zone", "Mars/Base")
    code, _, err = sep_data(*args)
    assert code == 1
    assert "'Mars/Base'; allowed are UTC, an IANA name" in err
