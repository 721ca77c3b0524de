"""The key of Prometheus: readable by its user, and worth no more than reading."""

import time
from pathlib import Path

from sep_kit.grpc.keys import KeyRing, Role
from sep_local.scrape_key import NAME, make_scrape_key


def test_prometheus_gets_a_copy_of_a_key_that_reads_only(tmp_path: Path) -> None:
    keys, share = tmp_path / "keys", tmp_path / "share"
    keys.mkdir()
    share.mkdir()
    make_scrape_key(keys, share)
    assert [path.name for path in share.iterdir()] == [NAME]
    assert (share / NAME).stat().st_mode & 0o777 == 0o644
    assert (keys / NAME).stat().st_mode & 0o777 == 0o600
    caller = KeyRing(keys, time.monotonic).caller((share / NAME).read_text().strip())
    assert caller is not None
    assert caller.role is Role.READ


def test_a_rotated_key_reaches_prometheus_at_the_next_start(tmp_path: Path) -> None:
    keys, share = tmp_path / "keys", tmp_path / "share"
    keys.mkdir()
    share.mkdir()
    make_scrape_key(keys, share)
    first = (share / NAME).read_text()
    make_scrape_key(keys, share)
    assert (share / NAME).read_text() == first
    (keys / NAME).write_text("r" * 32)
    make_scrape_key(keys, share)
    assert (share / NAME).read_text() == "r" * 32
