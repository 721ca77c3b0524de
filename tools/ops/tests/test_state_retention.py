"""Which backups stay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sep_ops.state.retention import backups_in, name_of, surplus

START = datetime(2026, 11, 2, 3, tzinfo=UTC)  # a Monday


def made(hours: list[int]) -> list[tuple[Path, datetime]]:
    moments = [START + timedelta(hours=h) for h in hours]
    return [(Path(name_of(m, encrypted=False)), m) for m in moments]


def test_nothing_goes_without_a_rule() -> None:
    assert surplus(made([0, 1, 2000]), daily=None, weekly=None) == []


def test_the_newest_of_each_of_the_last_days_stays() -> None:
    found = made([0, 10, 24, 30, 49])
    gone = surplus(found, daily=2, weekly=None)
    assert sorted(gone) == sorted(path for path, _ in found[:3])


def test_weeks_stay_beside_days() -> None:
    found = made([24 * day for day in range(28)])
    gone = set(surplus(found, daily=3, weekly=4))
    stay = [moment.day for path, moment in found if path not in gone]
    # Sundays of three full weeks, and the last three days.
    assert stay == [8, 15, 22, 27, 28, 29]


def test_days_without_a_backup_do_not_count() -> None:
    found = made([0, 24 * 30, 24 * 60])
    assert surplus(found, daily=3, weekly=None) == []


@given(
    hours=st.lists(st.integers(0, 5000), unique=True, max_size=40),
    daily=st.none() | st.integers(0, 9),
    weekly=st.none() | st.integers(0, 9),
)
def test_the_newest_always_stays_and_a_second_run_removes_nothing(
    hours: list[int], daily: int | None, weekly: int | None
) -> None:
    found = made(hours)
    gone = set(surplus(found, daily=daily, weekly=weekly))
    stay = [item for item in found if item[0] not in gone]
    if found:
        assert max(found, key=lambda item: item[1]) in stay
    assert surplus(stay, daily=daily, weekly=weekly) == []


def test_only_backups_are_seen_in_a_folder(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 27, 8, 15, tzinfo=UTC)
    for name in ("sep-20261127T081500Z.tar", "sep-20261127T081500Z.tar.age"):
        (tmp_path / name).touch()
    for name in ("notes", ".sep-20261127T081500Z.tar.1.partial", "sep-20261127T081500Z.tar.old"):
        (tmp_path / name).touch()
    assert set(backups_in(tmp_path).values()) == {moment}
    assert name_of(moment, encrypted=True) == "sep-20261127T081500Z.tar.age"
