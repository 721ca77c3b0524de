"""Which backups of a folder stay: some daily and weekly ones, and always the newest."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

_NAME = re.compile(r"sep-(\d{8}T\d{6})Z\.tar(\.age)?")
_TIME = "%Y%m%dT%H%M%S"


def name_of(made: datetime, *, encrypted: bool) -> str:
    """Name of a backup by the moment of its state, such as ``sep-20261127T081500Z.tar.age``."""
    return f"sep-{made.astimezone(UTC).strftime(_TIME)}Z.tar{'.age' if encrypted else ''}"


def backups_in(folder: Path) -> dict[Path, datetime]:
    """Backups of a folder with their moments; files of other names are not seen."""
    found = {path: _NAME.fullmatch(path.name) for path in folder.iterdir()}
    return {path: _moment(match[1]) for path, match in found.items() if match}


def surplus(
    backups: Iterable[tuple[Path, datetime]], *, daily: int | None, weekly: int | None
) -> list[Path]:
    """Backups that may go.

    The newest of each of the last ``daily`` days that have one stays, and likewise of the last
    ``weekly`` ISO weeks; days and weeks are UTC. The newest stays in any case, and all of them
    where neither number is given.
    """
    if daily is None and weekly is None:
        return []
    newest_first = sorted(backups, key=lambda item: (item[1], item[0].name), reverse=True)
    by_day: dict[object, Path] = {}
    by_week: dict[object, Path] = {}
    for path, made in newest_first:
        by_day.setdefault(made.date(), path)
        by_week.setdefault(made.isocalendar()[:2], path)
    stay = {path for path, _ in newest_first[:1]}
    stay |= {*list(by_day.values())[: daily or 0], *list(by_week.values())[: weekly or 0]}
    return [path for path, _ in newest_first if path not in stay]


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
