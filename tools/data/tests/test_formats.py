"""The same bars come out of every format that people have them in."""

import gzip
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sep_data.catalogue import COLUMNS, Catalogue
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.instants import format_rfc3339, format_seconds

from .candle_files import csv_lines, market_bars, write

BARS = market_bars(0.2)


def same(one: Bars, other: Bars, columns: tuple[str, ...] = COLUMNS) -> None:
    for name in columns:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


def loaded(folder: Path) -> Bars:
    return Catalogue.existing(folder).load("EUR_USD", Granularity.M1)


def local(seconds: int, hours: float) -> datetime:
    return datetime.fromtimestamp(seconds + hours * 3600, tz=UTC)


def bid_rows(bars: Bars) -> list[tuple[int, list[float], int]]:
    return [
        (int(bars.time[i]), [float(getattr(bars, f"bid_{p}")[i]) for p in "ohlc"],
         int(bars.volume[i]))
        for i in range(len(bars))
    ]  # fmt: skip


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", ["plain", "gz", "zip", "bom", "utf-16"])
def test_candle_files_are_read_in_every_packing(
    tmp_path: Path, sep_data: Any, ending: str, packed: str
) -> None:
    plain = write(tmp_path / "EUR_USD_M1_x.csv", csv_lines(BARS), ending)
    path, raw = plain, plain.read_bytes()
    if packed == "gz":
        path = tmp_path / "EUR_USD_M1_x.csv.gz"
        path.write_bytes(gzip.compress(raw))
    elif packed == "zip":
        path = tmp_path / "EUR_USD_M1_x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inside.csv", raw)
            archive.writestr("readme.txt", "remarks")
    elif packed == "bom":
        path.write_bytes(b"\xef\xbb\xbf" + raw)
    elif packed == "utf-16":
        path.write_bytes(raw.decode().encode("utf-16"))
    code, out, err = sep_data("import", "csv", path, "--out", tmp_path / "c")
    assert (code, err) == (0, "")
    assert f"{len(BARS)} rows, {len(BARS)} bars, left out none" in out
    same(loaded(tmp_path / "c"), BARS)


def test_a_folder_stands_for_the_files_in_it(tmp_path: Path, sep_data: Any) -> None:
    folder = tmp_path / "candles"
    folder.mkdir()
    assert "holds no .csv" in sep_data("import", "csv", folder, "--out", tmp_path / "c")[2]
    for name, part in (("a", BARS.slice(0, 100)), ("b", BARS.slice(100, len(BARS)))):
        write(folder / f"EUR_USD_M1_{name}.csv", csv_lines(part))
    (folder / "notes.md").write_text("remarks")
    assert sep_data("import", "csv", folder, "--out", tmp_path / "c")[0] == 0
    same(loaded(tmp_path / "c"), BARS)


def test_an_export_is_imported_as_the_same_bars(tmp_path: Path, sep_data: Any) -> None:
    path = write(tmp_path / "EUR_USD_M1.csv", csv_lines(BARS))
    assert sep_data("import", "csv", path, "--out", tmp_path / "c")[0] == 0
    assert sep_data("export", tmp_path / "c", "--out", tmp_path / "files")[0] == 0
    exported = tmp_path / "files" / "EUR_USD_M1.csv.gz"
    assert sep_data("import", "csv", exported, "--out", tmp_path / "again")[0] == 0
    same(loaded(tmp_path / "again"), BARS)


def test_histdata_is_est_without_daylight_saving(tmp_path: Path, sep_data: Any) -> None:
    rows = [
        f"{local(t, -5):%Y%m%d %H%M%S};{';'.join(map(str, p))};{v}" for t, p, v in bid_rows(BARS)
    ]
    path = write(tmp_path / "DAT_ASCII_EURUSD_M1_2024.csv", rows, "\r\n")
    assert "give --spread" in sep_data("import", "histdata", path, "--out", tmp_path / "c")[2]
    code, _, err = sep_data("import", "histdata", path, "--spread", 1, "--out", tmp_path / "c")
    assert (code, err) == (0, "")
    same(loaded(tmp_path / "c"), BARS)


def test_dukascopy_joins_the_files_of_both_sides(tmp_path: Path, sep_data: Any) -> None:
    paths = []
    for side in ("bid", "ask"):
        rows = ["Gmt time,Open,High,Low,Close,Volume"]
        for i, t in enumerate(BARS.time.tolist()):
            prices = ",".join(str(getattr(BARS, f"{side}_{p}")[i]) for p in "ohlc")
            rows.append(f"{local(t, 0):%d.%m.%Y %H:%M:%S}.000,{prices},{BARS.volume[i]}")
        if side == "ask":
            del rows[10]
        name = f"EURUSD_Candlestick_1_M_{side.upper()}_04.03.2024-05.03.2024.csv"
        paths.append(write(tmp_path / name, rows))
    code, out, _ = sep_data("import", "dukascopy", *paths, "--out", tmp_path / "c")
    assert code == 0
    assert "1 NO_OTHER_SIDE" in out
    found = loaded(tmp_path / "c")
    joined = np.arange(len(BARS)) != 9
    same(found, Bars(*(getattr(BARS, n)[joined] for n in COLUMNS)))


def test_mt5_has_server_time_and_a_spread_in_points(tmp_path: Path, sep_data: Any) -> None:
    rows = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    for t, p, v in bid_rows(BARS):
        prices = "\t".join(f"{x:.5f}" for x in p)
        rows.append(f"{local(t, 2):%Y.%m.%d\t%H:%M:%S}\t{prices}\t{v}\t0\t10")
    path = write(tmp_path / "EURUSD_M1_202403040200_202403050200.csv", rows, "\r\n")
    code, _, err = sep_data("import", "mt5", path, "--out", tmp_path / "c")
    assert code == 1
    assert "line 2: time 2024-03-04 02:00:00 has no time zone: give --time-zone" in err
    args = ("import", "mt5", path, "--time-zone", "NewYork+7", "--out", tmp_path / "c")
    assert sep_data(*args)[0] == 0
    same(loaded(tmp_path / "c"), BARS)


def test_oanda_answers_are_read_without_incomplete_candles(tmp_path: Path, sep_data: Any) -> None:
    candles = [
        {
            "complete": i < len(BARS) - 1,
            "volume": int(BARS.volume[i]),
            "time": format_rfc3339(int(t) * 10**9),
            **{s: {p: str(getattr(BARS, f"{s}_{p}")[i]) for p in "ohlc"} for s in ("bid", "ask")},
        }
        for i, t in enumerate(BARS.time)
    ]
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"instrument": "EUR_USD", "granularity": "M1", "candles": candles}))
    code, out, _ = sep_data("import", "oanda-json", path, "--out", tmp_path / "c")
    assert code == 0
    assert "1 INCOMPLETE" in out
    same(loaded(tmp_path / "c"), BARS.slice(0, len(BARS) - 1))


def test_mid_prices_get_the_stated_spread(tmp_path: Path, sep_data: Any) -> None:
    mids = {p: np.round(getattr(BARS, f"bid_{p}") + 5e-5, 6) for p in "ohlc"}
    rows = ["time,open,high,low,close"] + [
        f"{format_seconds(int(t))},{','.join(str(mids[p][i]) for p in 'ohlc')}"
        for i, t in enumerate(BARS.time)
    ]
    path = write(tmp_path / "EURUSD_M1.csv", rows)
    assert "give --prices" in sep_data("import", "csv", path, "--out", tmp_path / "c")[2]
    args = ("--prices", "mid", "--spread", "1", "--out", tmp_path / "c")
    assert sep_data("import", "csv", path, *args)[0] == 0
    same(loaded(tmp_path / "c"), BARS, COLUMNS[:-1])
    (source,) = Catalogue.existing(tmp_path / "c").manifest.sources
    assert (source.prices, source.spread_pips) == ("mid", 1.0)


def test_bars_stamped_at_their_end_are_moved_to_their_start(tmp_path: Path, sep_data: Any) -> None:
    moved = Bars(BARS.time + 60, *(getattr(BARS, n) for n in COLUMNS[1:]))
    path = write(tmp_path / "EUR_USD_M1.csv", csv_lines(moved))
    assert sep_data("import", "csv", path, "--label", "end", "--out", tmp_path / "c")[0] == 0
    same(loaded(tmp_path / "c"), BARS)


@pytest.mark.parametrize(("month", "day"), [(3, 30), (10, 26)])
def test_local_times_are_read_through_both_changes_of_the_clock(
    tmp_path: Path, sep_data: Any, month: int, day: int
) -> None:
    """Every minute of the night of a change, in order; the autumn shows an hour twice."""
    from zoneinfo import ZoneInfo

    start = int(datetime(2025, month, day, tzinfo=UTC).timestamp())
    minutes = [start + 60 * i for i in range(240)]
    rows = ["time,open,high,low,close"] + [
        f"{datetime.fromtimestamp(t, tz=UTC).astimezone(ZoneInfo('Europe/London')):%Y-%m-%d %H:%M}"
        ",1,1,1,1"
        for t in minutes
    ]
    path = write(tmp_path / "EURUSD_M1.csv", rows)
    options = ("--time-zone", "Europe/London", "--prices", "bid", "--spread", "1")
    code, out, _ = sep_data("import", "csv", path, *options, "--out", tmp_path / "c")
    assert code == 0
    assert loaded(tmp_path / "c").time.tolist() == minutes
    assert ("120 HOUR_SHOWN_TWICE" in out) == (month == 10)


def test_a_time_that_the_clock_skipped_is_left_out(tmp_path: Path, sep_data: Any) -> None:
    rows = ["time,open,high,low,close", "2025-03-30 00:59,1,1,1,1", "2025-03-30 01:30,1,1,1,1"]
    path = write(tmp_path / "EURUSD_M1.csv", rows)
    options = ("--time-zone", "Europe/London", "--prices", "bid", "--spread", "1")
    code, out, _ = sep_data("import", "csv", path, *options, "--out", tmp_path / "c")
    assert code == 0
    assert "1 NO_SUCH_TIME" in out
    assert "EURUSD_M1.csv: line 3: NO_SUCH_TIME" in out
    assert timedelta(0) == timedelta(seconds=int(loaded(tmp_path / "c").time[0]) - 1743296340)
