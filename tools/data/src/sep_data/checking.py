"""Checks a whole catalogue: its files against the manifest, then every series."""

from collections.abc import Iterator

from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.sessions import MarketCalendar

from sep_data.catalogue import Catalogue, digest_of, key_of
from sep_data.checks import SeriesCheck
from sep_data.errors import DataError
from sep_data.findings import Finding, Kind


def check(catalogue: Catalogue, calendar: MarketCalendar, now_s: int) -> Iterator[Finding]:
    """All faults of a catalogue, by instrument and granularity."""
    yield from _unlisted(catalogue)
    for instrument, granularity in catalogue.series():
        parts: list[Bars] = []
        for year in catalogue.years(instrument, granularity):
            try:
                part = catalogue.load_year(instrument, granularity, year)
            except DataError as error:
                yield _of_file(instrument, granularity, Kind.UNREADABLE, str(error))
                continue
            key = key_of(instrument, granularity, year)
            if digest_of(part) != catalogue.manifest.files[key].sha256:
                yield _of_file(
                    instrument, granularity, Kind.CONTENT_DIFFERS,
                    f"{key} is not what the manifest describes",
                )  # fmt: skip
            parts.append(part)
        yield from _left_out(catalogue, instrument, granularity)
        bars = Bars.concatenate(parts)
        yield from SeriesCheck(instrument, granularity, bars, calendar, now_s).findings()


def _unlisted(catalogue: Catalogue) -> Iterator[Finding]:
    """Files that the manifest does not name: nothing reads them."""
    for path in sorted(catalogue.folder.glob("*/*/*.parquet")):
        key = path.relative_to(catalogue.folder).as_posix()
        if key not in catalogue.manifest.files and not path.name.startswith("."):
            instrument, granularity, _ = key.split("/")
            yield Finding(
                instrument=instrument, granularity=granularity, kind=Kind.UNLISTED, count=1,
                detail=f"{key} is not in the manifest, so nothing reads it",
            )  # fmt: skip


def _left_out(catalogue: Catalogue, instrument: str, granularity: Granularity) -> Iterator[Finding]:
    """The bars that imports left out, which the series lacks."""
    for source in catalogue.manifest.sources:
        if (source.instrument, source.granularity) != (instrument, granularity.value):
            continue
        for reason, count in source.left_out.items():
            example = next((e for e in source.examples if f": {reason}:" in e), "")
            yield Finding(
                instrument=instrument, granularity=granularity.value, kind=Kind.LEFT_OUT,
                count=count, detail=f"{reason} at import{f'; {example}' if example else ''}",
            )  # fmt: skip


def _of_file(instrument: str, granularity: Granularity, kind: Kind, detail: str) -> Finding:
    return Finding(
        instrument=instrument, granularity=granularity.value, kind=kind, count=1, detail=detail
    )
