"""``check`` finds each kind of damage, and nothing in sound candles."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sep_data.catalogue import COLUMNS, Catalogue, take
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity

from .candle_files import MONDAY, csv_lines, market_bars, write

BARS = market_bars(14)


def changed(**columns: Any) -> Bars:
    return Bars(*(columns.get(n, getattr(BARS, n)) for n in COLUMNS))


def without(start: int, stop: int) -> Bars:
    rows = np.ones(len(BARS), np.bool_)
    rows[start:stop] = False
    return take(BARS, rows)


def repeated() -> Bars:
    return take(BARS, np.sort(np.append(np.arange(len(BARS)), 500)))


def raised(at: int, factor: float) -> Bars:
    """One bar whose prices lie far off."""
    off = {}
    for name in COLUMNS[1:-1]:
        off[name] = getattr(BARS, name).copy()
        off[name][at] *= factor
    return changed(**off)


def flat_weekend() -> Bars:
    """Bars of a Saturday at which nothing moves."""
    time = MONDAY + 5 * 86_400 + 60 * np.arange(600)
    weekend = Bars.from_rows(time, np.tile([[1.1]] * 4 + [[1.2]] * 4, 600), 0 * time)
    both = Bars.concatenate([BARS, weekend])
    return take(both, np.argsort(both.time))


def crossed_bar() -> Bars:
    bid = BARS.bid_c.copy()
    bid[77] = BARS.ask_c[77] + 1e-5
    return changed(bid_c=bid, bid_h=np.maximum(BARS.bid_h, bid))


def nan_bar() -> Bars:
    bid = BARS.bid_c.copy()
    bid[77] = np.nan
    return changed(bid_c=bid)


DAMAGE: dict[str, tuple[Callable[[], Bars], str]] = {
    "a day is missing": (lambda: without(2000, 3400), "GAP"),
    "an hour is missing": (lambda: without(2000, 2060), "GAP"),
    "a bar twice": (repeated, "DUPLICATE"),
    "out of order": (lambda: take(BARS, np.roll(np.arange(len(BARS)), 5)), "NOT_IN_ORDER"),
    "half a minute off": (lambda: changed(time=BARS.time + 30), "OFF_GRID"),
    "six bars far away": (lambda: raised(3000, 1.05), "SPIKE"),
    "a low far away": (lambda: raised(3000, 0.95), "SPIKE"),
    "a flat Saturday": (flat_weekend, "FLAT_WEEKEND"),
    "an hour late": (lambda: changed(time=BARS.time + 3600), "SHIFTED_TIME_ZONE"),
    "seven hours early": (lambda: changed(time=BARS.time - 7 * 3600), "SHIFTED_TIME_ZONE"),
    "in the future": (lambda: changed(time=BARS.time + 60 * 10_000_000), "FUTURE"),
    "five-minute bars": (lambda: take(BARS, BARS.time % 300 == 0), "BAR_LENGTH"),
    "half-minute bars": (lambda: market_bars(2, step=30), "BAR_LENGTH"),
    "steps of 50 s": (lambda: market_bars(2, step=50), "WRONG_STEP"),
    "crossed": (crossed_bar, "CROSSED"),
    "nan": (nan_bar, "NOT_A_PRICE"),
    "high below": (lambda: changed(bid_h=BARS.bid_l - 1e-4), "HIGH_LOW"),
}


def stored(folder: Path, bars: Bars) -> Path:
    catalogue = Catalogue(folder)
    catalogue.write("EUR_USD", Granularity.M1, bars)
    catalogue.save()
    return folder


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_by_kind(tmp_path: Path, sep_data: Any, name: str) -> None:
    make, kind = DAMAGE[name]
    code, out, _ = sep_data("check", stored(tmp_path / "c", make()), "--json")
    assert code == 1
    assert kind in {f["kind"] for f in json.loads(out)["findings"]}


def test_sound_candles_pass(tmp_path: Path, sep_data: Any) -> None:
    code, out, _ = sep_data("check", stored(tmp_path / "c", BARS))
    assert (code, out) == (0, "1 series checked, 0 findings\n")


@pytest.mark.parametrize("start", ["2024-03-07", "2024-10-31", "2024-12-19"])
def test_a_change_of_new_york_s_clock_and_the_holidays_are_no_fault(
    tmp_path: Path, sep_data: Any, start: str
) -> None:
    first = int(np.datetime64(start, "s").astype(int))
    assert sep_data("check", stored(tmp_path / "c", market_bars(14, first)))[0] == 0


def test_news_is_no_spike(tmp_path: Path, sep_data: Any) -> None:
    """A price that moves by 1 % in a minute and stays there."""
    moved = {
        n: np.where(np.arange(len(BARS)) >= 3000, getattr(BARS, n) * 1.01, getattr(BARS, n))
        for n in COLUMNS[1:-1]
    }
    assert sep_data("check", stored(tmp_path / "c", changed(**moved)))[0] == 0


def test_a_market_that_never_closes_is_checked_as_one(tmp_path: Path, sep_data: Any) -> None:
    time = MONDAY + 60 * np.arange(len(BARS))
    folder = stored(tmp_path / "c", changed(time=time))
    assert sep_data("check", folder, "--market-calendar", "24x7")[0] == 0
    assert "MARKET_CLOSED" in sep_data("check", folder)[1]


def test_a_file_that_was_changed_or_removed_is_found(tmp_path: Path, sep_data: Any) -> None:
    folder = stored(tmp_path / "c", BARS)
    other = stored(tmp_path / "other", raised(5, 1.00001))
    name = "EUR_USD/M1/2024.parquet"
    (folder / name).write_bytes((other / name).read_bytes())
    assert "CONTENT_DIFFERS" in sep_data("check", folder)[1]
    (folder / name).write_bytes(b"no Parquet")
    assert "UNREADABLE" in sep_data("check", folder)[1]
    (folder / name).unlink()
    assert "UNREADABLE" in sep_data("check", folder)[1]


def test_what_is_no_catalogue_is_refused(tmp_path: Path, sep_data: Any) -> None:
    code, _, err = sep_data("check", tmp_path)
    assert code == 1
    assert "is no catalogue" in err
    (tmp_path / "manifest.json").write_text('{"version": 2}')
    assert "its version is 2, allowed is 1" in sep_data("check", tmp_path)[2]


_REPOSITORY = Path(__file__).parents[3]
_SHARED = Path(os.environ.get("SEP_SHARED") or _REPOSITORY.parent / "shared")
REAL = sorted((_SHARED / "data" / "candles").glob("*.csv.gz"))


@pytest.mark.skipif(not REAL, reason="no recorded candles: set SEP_SHARED")
def test_recorded_candles_are_sound(tmp_path: Path, sep_data: Any) -> None:
    assert sep_data("import", "csv", *REAL, "--out", tmp_path / "c")[0] == 0
    assert sep_data("check", tmp_path / "c")[1].endswith("2 series checked, 0 findings\n")


def test_files_written_by_lines_are_checked_as_imported(tmp_path: Path, sep_data: Any) -> None:
    path = write(tmp_path / "EUR_USD_M1.csv", csv_lines(without(100, 300)))
    assert sep_data("import", "csv", path, "--out", tmp_path / "c")[0] == 0
    code, out, _ = sep_data("check", tmp_path / "c")
    assert code == 1
    assert "GAP: 1 " in out
