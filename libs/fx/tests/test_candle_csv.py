import gzip
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from random import Random

import pytest
from sep_fx.bars import Bars
from sep_fx.candle_columns import parse_columns
from sep_fx.candle_csv import (
    MalformedCandleError,
    candle_files,
    granularity_of,
    instrument_of,
    read_candle_file,
)
from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND, format_seconds, parse_rfc3339

HEADER = "time,bid_o,bid_h,bid_l,bid_c,ask_o,ask_h,ask_l,ask_c,volume"
PRICES = "1.1,1.3,1.0,1.2,1.11,1.31,1.01,1.21"
START = parse_rfc3339("2014-05-01T00:00:00Z") // NS_PER_SECOND


def row(minute: int, prices: str = PRICES, volume: str = "7") -> str:
    return f"2014-05-01T00:{minute:02d}:00Z,{prices},{volume}"


def plain(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "EUR_USD_M1_2014-05.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def gzipped(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "EUR_USD_M1_2014-05.csv.gz"
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return path


@pytest.mark.parametrize("write", [plain, gzipped])
def test_a_file_is_read_gzipped_or_plain(write: Callable[..., Path], tmp_path: Path) -> None:
    found = read_candle_file(write(tmp_path, HEADER, row(0), row(2)))
    assert found.skipped == 0
    assert list(found.bars.time) == [START, START + 120]
    assert (found.bars.bid_h[0], found.bars.ask_c[1], found.bars.volume[1]) == (1.3, 1.21, 7)


def test_without_a_volume_column_volumes_are_zero(tmp_path: Path) -> None:
    lines = (HEADER.removesuffix(",volume"), row(0).removesuffix(",7"))
    assert list(read_candle_file(plain(tmp_path, *lines)).bars.volume) == [0]


def test_a_file_with_only_a_header_has_no_bars(tmp_path: Path) -> None:
    assert len(read_candle_file(plain(tmp_path, HEADER)).bars) == 0


def test_windows_line_endings_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "EUR_USD_M1.csv"
    path.write_bytes(f"{HEADER}\r\n{row(0)}\r\n".encode())
    assert len(read_candle_file(path).bars) == 1


MALFORMED = {
    "too few fields": ("2014-05-01T00:01:00Z,1.1", "2 fields, expected 10"),
    "too many fields": (row(1) + ",8", "11 fields, expected 10"),
    "empty line": ("", "0 fields, expected 10"),
    "no time": (row(1).replace("2014-05-01T00:01:00Z", "yesterday"), "is not an RFC 3339 time"),
    "no such day": (row(1).replace("-05-01T", "-02-30T"), "day"),
    "half second": (row(1).replace(":00Z", ":00.5Z"), "is not a whole second"),
    "same time again": (row(0), "is not after the time of the previous row"),
    "time goes back": ("2014-04-30T23:59:00Z," + PRICES + ",1", "is not after"),
    "word": (row(1, PRICES.replace("1.3", "high", 1)), "bid_h is 'high', expected a number"),
    "empty price": (row(1, PRICES.replace("1.3", "", 1)), "bid_h is '', expected a number"),
    "underscore": (row(1, PRICES.replace("1.3", "1_3", 1)), "bid_h is '1_3', expected a number"),
    "not ascii": (row(1, PRICES.replace("1.3", "1.3€", 1)), "expected a number"),
    "nan": (row(1, PRICES.replace("1.0,", "nan,", 1)), "bid_l is nan, expected a finite price"),
    "infinite": (row(1, PRICES.replace("1.31", "inf")), "ask_h is inf, expected a finite price"),
    "zero": (row(1, PRICES.replace("1.0,", "0,", 1)), "bid_l is 0.0, expected a finite price"),
    "negative": (row(1, "-" + PRICES), "bid_o is -1.1, expected a finite price above 0"),
    "high too low": (
        row(1, PRICES.replace("1.3,", "1.15,", 1)),
        "bid high 1.15 is below its open, close or low",
    ),
    "low too high": (
        row(1, PRICES.replace("1.01,", "1.2,", 1)),
        "ask low 1.2 is above its open or close",
    ),
    "crossed": (row(1, PRICES.replace("1.11,", "1.05,")), "crossed: bid_o 1.1 is above ask_o 1.05"),
    "word for volume": (row(1, volume="many"), "volume is 'many', expected a whole number"),
    "negative volume": (row(1, volume="-1"), "volume is '-1', expected a whole number"),
    "half a tick": (row(1, volume="1.5"), "volume is '1.5', expected a whole number"),
    "no volume": (row(1, volume=""), "volume is '', expected a whole number"),
    "volume past 64 bits": (row(1, volume="9" * 19), "volume is '9999"),
    "endless volume": (row(1, volume="9" * 5000), "volume is '9999"),
}


@pytest.mark.parametrize(("bad", "reason"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_row_is_reported_with_its_line_and_the_reason(
    tmp_path: Path, bad: str, reason: str
) -> None:
    path = plain(tmp_path, HEADER, row(0), bad, row(3))
    with pytest.raises(MalformedCandleError) as refusal:
        read_candle_file(path)
    assert str(refusal.value).startswith(f"{path}: line 3: ")
    assert reason in str(refusal.value)


def test_malformed_rows_are_skipped_and_counted_on_request(tmp_path: Path) -> None:
    bad = [line for line, _ in MALFORMED.values()]
    found = read_candle_file(gzipped(tmp_path, HEADER, row(0), *bad, row(3)), skip_bad=True)
    assert found.skipped == len(bad)
    assert list(found.bars.time) == [START, START + 180]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "time,open,high,low,close,volume",
        HEADER.upper(),
        HEADER.removeprefix("time,"),
        HEADER + ",spread",
        HEADER.replace("volume", "ticks"),
        row(0),
    ],
)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_an_unknown_header_is_refused_even_if_bad_rows_are_skipped(
    tmp_path: Path, header: str, skip_bad: bool
) -> None:
    with pytest.raises(MalformedCandleError, match=r"line 1: header is .*, expected time,bid_o"):
        read_candle_file(plain(tmp_path, header, row(0)), skip_bad=skip_bad)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedCandleError, match="line 1: header is ''"):
        read_candle_file(plain(tmp_path))


def many_rows() -> list[str]:
    return [f"2014-05-{1 + i // 1440:02d}T{i // 60 % 24:02d}:{i % 60:02d}:00Z,{PRICES},{i}"
            for i in range(5000)]  # fmt: skip


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_truncated_gzip_is_refused_with_its_last_readable_line(
    tmp_path: Path, skip_bad: bool
) -> None:
    path = gzipped(tmp_path, HEADER, *many_rows())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(MalformedCandleError, match=r"after line \d+: .*end-of-stream"):
        read_candle_file(path, skip_bad=skip_bad)


def test_a_gzip_with_corrupt_content_is_refused(tmp_path: Path) -> None:
    path = gzipped(tmp_path, HEADER, *many_rows())
    raw = bytearray(path.read_bytes())
    for at in range(1000, 1100):
        raw[at] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(MalformedCandleError, match=r"after line \d+: |line \d+: "):
        read_candle_file(path)


def test_a_plain_file_with_a_gzip_suffix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "EUR_USD_M1.csv.gz"
    path.write_text(HEADER)
    with pytest.raises(MalformedCandleError, match="after line 0: Not a gzipped file"):
        read_candle_file(path)


def test_an_oversized_field_is_refused(tmp_path: Path) -> None:
    path = plain(tmp_path, HEADER, row(0), "1" * 200_000)
    with pytest.raises(MalformedCandleError, match="after line 3: field larger than"):
        read_candle_file(path)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_candle_file(tmp_path / "EUR_USD_M1.csv")


def test_progress_is_reported_every_ten_thousand_rows(tmp_path: Path) -> None:
    lines = (f"2014-05-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}Z,{PRICES},1"
             for i in range(20_500))  # fmt: skip
    reported: list[int] = []
    read_candle_file(plain(tmp_path, HEADER, *lines), progress=reported.append)
    assert reported == [10_000, 20_000]


def rows_of_a_market(count: int, volume: bool) -> list[str]:
    """Prices of one to six digits after the point, some without their last zeros."""
    random, lines, start = Random(5), [], START
    for i in range(count):
        start += random.choice((60, 60, 60, 3600, 86_400 * 40))
        digits, price = random.randint(0, 6), random.choice((0.7, 1.4, 150.0, 2300.0, 99_999.0))
        step = 10.0**-digits * random.randint(0, 3)
        low, high = price * (1 + random.random() / 9), price * (1.2 + random.random() / 9)
        inner = [random.uniform(low, high), random.uniform(low, high)]
        bid = [f"{x:.{digits}f}" for x in (inner[0], high, low, inner[1])]
        ask = [f"{float(x) + step:.{digits}f}" for x in bid]
        cut = [x.rstrip("0") if "." in x and i % 3 == 0 else x for x in (*bid, *ask)]
        fields = [format_seconds(start), *cut, *([str(random.randrange(10**17))] if volume else [])]
        lines.append(",".join(fields))
    return lines


@pytest.mark.parametrize("volume", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_in_the_usual_form_gives_the_bits_that_reading_row_by_row_gives(
    tmp_path: Path, volume: bool, end: str
) -> None:
    header = HEADER if volume else HEADER.removesuffix(",volume")
    lines = rows_of_a_market(9000, volume)
    path = tmp_path / "EUR_USD_M1.csv"
    path.write_bytes(end.join([header, *lines]).encode())  # without a last line ending
    usual = parse_columns(end.join(lines).encode(), 10 if volume else 9)
    assert usual is not None
    quick = read_candle_file(path)
    path.write_bytes(end.join([header, *lines, "bad"]).encode())
    slow = read_candle_file(path, skip_bad=True)
    assert (quick.skipped, slow.skipped) == (0, 1)
    for column in fields(Bars):
        expected = getattr(slow.bars, column.name)
        for bars in (quick.bars, usual):
            found = getattr(bars, column.name)
            assert found.dtype == expected.dtype
            assert found.tobytes() == expected.tobytes()


UNUSUAL = {
    "an offset": row(1).replace("Z", "+00:00"),
    "a fraction of a second": row(1).replace("Z", ".000000000Z"),
    "an exponent": row(1, PRICES.replace("1.3,", "13e-1,", 1)),
    "a sign": row(1, PRICES.replace("1.3,", "+1.3,", 1)),
    "a space": row(1, PRICES.replace("1.3,", " 1.3,", 1)),
    "a quote": row(1, PRICES.replace("1.3,", '"1.3",', 1)),
    "many digits": row(1, PRICES.replace("1.3,", "1.30000000000000000001,", 1)),
    "a large volume": row(1, volume=str(2**63 - 1)),
}


@pytest.mark.parametrize("line", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_what_is_sound_but_unusual_is_read_row_by_row(tmp_path: Path, line: str) -> None:
    lines = [row(0), line, row(3)]
    assert parse_columns("\n".join(lines).encode(), 10) is None
    bars = read_candle_file(plain(tmp_path, HEADER, *lines)).bars
    assert list(bars.time) == [START, START + 60, START + 180]
    assert bars.bid_h[1] == pytest.approx(1.3)


@pytest.mark.parametrize("bad", [line for line, _ in MALFORMED.values()], ids=MALFORMED.keys())
def test_no_malformed_row_passes_as_usual(bad: str) -> None:
    lines = [row(0), row(1), *many_rows()[2:5]]
    assert parse_columns("\n".join(lines).encode(), 10) is not None
    lines[1] = bad
    assert parse_columns("\n".join(lines).encode(), 10) is None


@pytest.mark.parametrize(
    ("name", "instrument", "granularity"),
    [
        ("EUR_USD_M1_2014-05.csv.gz", "EUR_USD", Granularity.M1),
        ("EUR_USD_M1.csv", "EUR_USD", Granularity.M1),
        ("SPX500_USD_D_all_years.csv", "SPX500_USD", Granularity.D),
    ],
)
def test_a_file_name_gives_instrument_and_granularity(
    name: str, instrument: str, granularity: Granularity
) -> None:
    assert instrument_of(Path(name)) == instrument
    assert granularity_of(Path(name)) is granularity


@pytest.mark.parametrize("name", ["EUR_USD.csv", "eur_usd_M1.csv", "EUR_USD_M1.txt", "notes.md"])
def test_other_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not named like EUR_USD_M1_2014-05"):
        instrument_of(Path(name))


def test_the_files_of_a_folder_are_grouped_by_instrument_in_name_order(tmp_path: Path) -> None:
    for name in ("USD_JPY_M1.csv", "EUR_USD_M1_2.csv", "EUR_USD_M1_1.csv.gz", "README.md"):
        (tmp_path / name).touch()
    found = candle_files(tmp_path)
    assert {i: [p.name for p in paths] for i, paths in found.items()} == {
        "EUR_USD": ["EUR_USD_M1_1.csv.gz", "EUR_USD_M1_2.csv"],
        "USD_JPY": ["USD_JPY_M1.csv"],
    }


def test_a_folder_without_candles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no file named like"):
        candle_files(tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a directory"):
        candle_files(tmp_path / "none")
