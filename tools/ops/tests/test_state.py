"""``sep-state`` on a real Valkey and a real journal: back up, verify, restore, migrate."""

import json
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sep_kit.store import keys
from sep_kit.store.halt_file import HaltFile
from sep_ops.state import archive, cli
from sep_ops.state.backup import Scope, make_backup
from sep_ops.state.errors import UnusableError
from sep_ops.state.opening import check_valkey
from sep_ops.state.place import read_place
from sep_ops.state.server import EmbeddedValkey
from sep_ops.state.store import Entry, open_store, read_bulk, read_state, write_bulk, write_state
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer

pytestmark = pytest.mark.timeout(300)
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VALKEY_URL", "JOURNAL_DB_URL", "SEP_RUN_DIR", "KILL_SWITCH_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run directory whose stack is stopped, with a state of every kind of key."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    with EmbeddedValkey(folder / "valkey") as server, open_store(server.url) as client:
        fill(client)
    return folder


def fill(client: redis.Redis) -> None:
    client.set(keys.KILL_SWITCH, "0")
    client.hset(keys.MANAGED_UNITS, mapping={"EUR_USD": "1000", "ts": "5"})
    client.xadd(keys.GUARD_DECISIONS, {"record": "\x00\xff"}, id="7-1")
    client.zadd(keys.signal_index("EUR_USD"), {keys.signal("EUR_USD", 1): 1})
    client.set(keys.signal("EUR_USD", 1), "{}", px=HOUR_MS)
    client.set(keys.order_claim("sep-1"), "{}", px=HOUR_MS)
    client.set(keys.ORDER_FENCE, "42")
    client.set(keys.lease_counter("guard"), "42")
    client.hset(keys.lease("guard"), mapping={"holder": "one", "token": "42"})
    client.pexpire(keys.lease("guard"), HOUR_MS)
    client.hset(keys.candles("EUR_USD", "M1"), mapping={"0": b"\x00packed"})
    client.set(keys.candle_coverage("EUR_USD", "M1"), "{}")


def run(*arguments: str | Path) -> int:
    return cli.run([str(a) for a in arguments], FakeClock())


def content(folder: Path) -> dict[bytes, tuple[int, bytes]]:
    """Keys with their end and value."""
    with EmbeddedValkey(folder / "valkey") as server, open_store(server.url) as client:
        entries = [*read_state(client, candles=True), *read_bulk(client, candles=True)]
    return {e.key: (e.expires_ms or 0, e.value) for e in entries}


def backups(folder: Path) -> list[Path]:
    return sorted(folder.glob("sep-*"))


def a_backup(run_dir: Path, out: Path, *options: str | Path, journal: bool = False) -> Path:
    less = [] if journal else ["--without-journal"]
    assert run("backup", "--run-dir", run_dir, "--out", out, *less, *options) == 0
    return backups(out)[-1]


def test_a_restored_state_is_the_one_of_the_backup_but_halted(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(run_dir)
    file = a_backup(run_dir, tmp_path / "out", "--candles")
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("verify", file) == 0
    assert "good; 11 keys of " in capsys.readouterr().out
    other = tmp_path / "other machine"
    assert run("restore", file, "--run-dir", other) == 0
    assert "The kill switch is engaged" in capsys.readouterr().out
    after = content(other)
    changed = {keys.KILL_SWITCH.encode(), keys.KILL_SWITCH_AUDIT.encode()}
    lease = keys.lease("guard").encode()
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in {*changed, lease}
    }
    with EmbeddedValkey(other / "valkey") as server, open_store(server.url) as client:
        assert client.get(keys.KILL_SWITCH) == b"1"
        ((_, fields),) = cast("Any", client.xrange(keys.KILL_SWITCH_AUDIT))
        change = json.loads(fields[b"change"])
        assert change["engaged"] is True
        assert change["actor"] == "sep-state"
        assert file.name in change["reason"]
    for service in ("guard", "gateway"):
        halt = HaltFile(other / "kill_switch", service).read(0)
        assert halt is not None
        assert halt.model_dump() == change
    a_backup(other, tmp_path / "again")


def test_candles_are_left_out_with_their_coverage_unless_they_are_asked_for(
    run_dir: Path, tmp_path: Path
) -> None:
    file = a_backup(run_dir, tmp_path / "out")
    assert run("restore", file, "--run-dir", tmp_path / "new") == 0
    found = content(tmp_path / "new")
    assert not [key for key in found if key.startswith(b"md:")]
    assert keys.signal("EUR_USD", 1).encode() in found


def test_the_journal_is_in_the_backup(run_dir: Path, tmp_path: Path) -> None:
    journal(run_dir, "INSERT INTO progress VALUES ('ledger', '17')")
    file = a_backup(run_dir, tmp_path / "out", journal=True)
    assert run("restore", file, "--run-dir", tmp_path / "new") == 0
    assert journal(tmp_path / "new", "SELECT value FROM progress") == [("17",)]
    without = a_backup(run_dir, tmp_path / "without")
    assert run("restore", without, "--run-dir", tmp_path / "bare") == 0
    assert not (tmp_path / "bare" / "journal").exists()


def journal(run_dir: Path, statement: str) -> list[tuple[str]]:
    import sqlite3

    code = (
        "import sys; from sep_journal.adapters.sql.engine import migrate, open_engine; "
        "migrate(open_engine(sys.argv[1]))"
    )
    path = run_dir / "journal" / "journal.db"
    subprocess.run([sys.executable, "-P", "-c", code, f"sqlite:///{path}"], check=True)
    connection = sqlite3.connect(path)
    try:
        found = connection.execute(statement).fetchall()
        connection.commit()
    finally:
        connection.close()
    return found


class Writer(threading.Thread):
    """Writes two keys together, and a third before each write, without a pause."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.count = 0
        self.stop = threading.Event()

    def run(self) -> None:
        with open_store(self.url) as client:
            while not self.stop.is_set():
                self.count += 1
                with client.pipeline(transaction=True) as pipe:
                    pipe.set("left", self.count)
                    pipe.xadd("right", {"n": self.count})
                    pipe.execute()


def test_a_backup_under_writes_is_of_one_moment(
    valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALKEY_URL", valkey.url)
    writer = Writer(valkey.url)
    writer.start()
    try:
        while writer.count < 100:
            time.sleep(0.01)
        assert run("backup", "--out", tmp_path / "out") == 0
        at_backup = writer.count
    finally:
        writer.stop.set()
        writer.join()
    assert writer.count > 100
    monkeypatch.delenv("VALKEY_URL")
    assert run("restore", backups(tmp_path / "out")[0], "--run-dir", tmp_path / "new") == 0
    with EmbeddedValkey(tmp_path / "new" / "valkey") as server, open_store(server.url) as client:
        left = int(client.get("left"))  # type: ignore[arg-type]
        ((_, fields),) = cast("Any", client.xrevrange("right", count=1))
        assert 100 <= left == int(fields[b"n"]) == client.xlen("right") <= at_backup


# Restore into what is there.


def test_a_state_that_is_there_is_replaced_only_on_demand(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = a_backup(run_dir, tmp_path / "out")
    before = content(run_dir)
    assert run("restore", file, "--run-dir", run_dir) == 3
    assert "holds state already" in capsys.readouterr().err
    assert content(run_dir) == before
    assert run("restore", file, "--run-dir", run_dir, "--replace") == 0
    (aside,) = run_dir.glob("valkey.before-restore-*")
    aside.rename(tmp_path / "old")
    (tmp_path / "as it was").mkdir()
    (tmp_path / "old").rename(tmp_path / "as it was" / "valkey")
    assert content(tmp_path / "as it was") == before


def test_a_journal_that_is_there_is_replaced_only_on_demand(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = a_backup(run_dir, tmp_path / "out", journal=True)
    new = tmp_path / "new"
    journal(new, "INSERT INTO progress VALUES ('ledger', '5')")
    assert run("restore", file, "--run-dir", new) == 3
    assert "the journal: the database holds a journal already" in capsys.readouterr().err
    # Nothing was changed: no state, no halt.
    assert not (new / "valkey").exists()
    assert not (new / "kill_switch").exists()
    assert run("restore", file, "--run-dir", new, "--replace") == 0


def test_a_running_stack_is_not_restored_into(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = a_backup(run_dir, tmp_path / "out")
    place = read_place({}, run_dir)
    before = content(run_dir)
    with place.stopped():  # as the stack's supervisor holds it
        assert run("restore", file, "--run-dir", run_dir, "--replace") == 3
        assert run("repair", "--run-dir", run_dir) == 3
    assert capsys.readouterr().err.count("a stack already runs on") == 2
    assert content(run_dir) == before


def test_a_valkey_by_url_is_restored_into_once_its_services_are_stopped(
    run_dir: Path,
    tmp_path: Path,
    valkey: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = a_backup(run_dir, tmp_path / "out")
    monkeypatch.setenv("VALKEY_URL", valkey.url)
    with open_store(valkey.url) as client:
        client.hset(keys.lease("guard"), "holder", "a running one")
        assert run("restore", file, "--replace") == 3
        assert "a stack runs on this Valkey (guard)" in capsys.readouterr().err
        client.delete(keys.lease("guard"))
        client.set("what was there", "1")
        assert run("restore", file) == 3
        assert client.get("what was there") == b"1"
        assert run("restore", file, "--replace") == 0
        assert client.get("what was there") is None
        assert client.get(keys.KILL_SWITCH) == b"1"
        assert client.get(keys.ORDER_FENCE) == b"42"


# Backups that can't be used.


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert run("key", tmp_path / "secret") == 0
    return tmp_path / "secret"


def test_an_encrypted_backup_needs_its_key(
    run_dir: Path, tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = key.with_name("secret.pub")
    file = a_backup(run_dir, tmp_path / "out", "--encrypt-to", public)
    assert file.name.endswith(".tar.age")
    assert b"ops:kill_switch" not in file.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert run("verify", file, "--identity", key) == 0
    capsys.readouterr()
    assert run("verify", file) == 1
    assert "is encrypted: name the key's file" in capsys.readouterr().err
    assert run("key", key) == 3
    assert run("key", tmp_path / "other") == 0
    assert run("verify", file, "--identity", tmp_path / "other") == 4
    assert "another key, damaged, or not whole" in capsys.readouterr().err
    assert run("restore", file, "--identity", tmp_path / "other", "--run-dir", tmp_path / "n") == 4
    key.chmod(0o644)
    assert run("verify", file, "--identity", key) == 1
    assert "others may read the key" in capsys.readouterr().err
    assert run("backup", "--run-dir", run_dir, "--out", tmp_path / "x", "--encrypt-to", key) == 1
    # Nothing that is not encrypted stays behind.
    assert list((run_dir / "state-work").iterdir()) == []


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_damaged_backup_is_refused_and_changes_nothing(
    run_dir: Path, tmp_path: Path, key: Path, encrypted: bool
) -> None:
    options = ("--encrypt-to", key.with_name("secret.pub")) if encrypted else ()
    file = a_backup(run_dir, tmp_path / "out", *options)
    whole = file.read_bytes()
    bad = tmp_path / "bad.tar"
    for place in (0.02, 0.1, 0.3, 0.5):
        flipped = bytearray(whole)
        flipped[int(len(whole) * place)] ^= 0x04
        for data in (bytes(flipped), whole[: int(len(whole) * place)]):
            bad.write_bytes(data)
            code = run("restore", bad, "--identity", key, "--run-dir", tmp_path / "new")
            # A byte of the padding between two members is none of the backup.
            assert code == 4 or (code == 0 and not encrypted and padding(whole, place)), place
            shutil.rmtree(tmp_path / "new" / "valkey", ignore_errors=True)
    bad.write_bytes(b"")
    assert run("verify", bad) == 4
    assert run("verify", tmp_path / "none") == 1


def padding(whole: bytes, place: float) -> bool:
    start = int(len(whole) * place) // 16 * 16
    return not any(whole[start : start + 16])


def repacked(file: Path, folder: Path, **changes: object) -> Path:
    """A backup whose manifest says something else, in itself consistent."""
    folder.mkdir()
    raw = archive.unpack(file, folder)
    (folder / archive.MANIFEST).unlink()
    (folder / archive.MANIFEST_DIGEST).unlink()
    out = folder / "changed.tar"
    archive.pack(folder, raw.model_copy(update=changes), out)
    return out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "has format 2; this release reads 1 and older"),
        ({"sep_version": "99.0.0"}, "made by SEP 99.0.0"),
        ({"valkey_version": "99.0.0"}, "an older Valkey can't read it"),
        ({"sep_version": "new"}, "'new' is not a version"),
    ],
)
def test_a_backup_of_something_newer_is_refused_in_words(
    run_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    words: str,
) -> None:
    file = a_backup(run_dir, tmp_path / "out")
    newer = repacked(file, tmp_path / "repacked", **changes)
    assert run("restore", newer, "--run-dir", tmp_path / "new") == 4
    assert words in capsys.readouterr().err
    assert not (tmp_path / "new" / "valkey").exists()


def test_a_value_that_valkey_can_not_read_is_refused(tmp_path: Path) -> None:
    with (
        EmbeddedValkey(tmp_path / "v", append_only=False) as server,
        open_store(server.url) as client,
    ):
        with pytest.raises(UnusableError, match="can't read a value"):
            write_state(client, [Entry(b"k", None, b"not a payload")], None)
        version = client.info("server")["valkey_version"]
    assert version


def test_members_of_other_names_are_not_written(run_dir: Path, tmp_path: Path) -> None:
    file = a_backup(run_dir, tmp_path / "out")
    with tarfile.open(file, "a") as tar:
        tar.add(__file__, arcname="../evil")
    assert run("verify", file) == 4
    assert not (tmp_path / "evil").exists()


def test_a_backup_of_the_previous_release_restores(tmp_path: Path) -> None:
    """Format 1 with the journal's tables of an earlier revision, as a file of this repository."""
    file = Path(__file__).parent / "state_fixtures" / "sep-20261120T120000Z.tar"
    assert run("verify", file) == 0
    assert run("restore", file, "--run-dir", tmp_path / "new") == 0
    found = content(tmp_path / "new")
    assert keys.MANAGED_UNITS.encode() in found
    assert journal(tmp_path / "new", "SELECT value FROM progress WHERE name = 'ledger'") == [
        ("17",)
    ]
    assert journal(tmp_path / "new", "SELECT version_num FROM alembic_version") != [
        ("0003_events",)
    ]


def test_migrate_writes_a_backup_anew_under_another_key(tmp_path: Path, key: Path) -> None:
    old = Path(__file__).parent / "state_fixtures" / "sep-20261120T120000Z.tar"
    public = key.with_name("secret.pub")
    assert run("migrate", old, "--out", tmp_path / "out", "--encrypt-to", public) == 0
    (fresh,) = backups(tmp_path / "out")
    assert fresh.name == f"{old.name}.age"
    assert run("restore", fresh, "--identity", key, "--run-dir", tmp_path / "new") == 0
    assert keys.MANAGED_UNITS.encode() in content(tmp_path / "new")
    assert run("migrate", old, "--out", tmp_path / "out", "--encrypt-to", public) == 3


# A backup that is interrupted, and old ones.


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_killed_backup_leaves_nothing_under_a_final_name(
    run_dir: Path, tmp_path: Path, key: Path, encrypted: bool
) -> None:
    """Killed at many moments; what it leaves, the next one removes."""
    out = tmp_path / "out"
    out.mkdir()
    options = ["--encrypt-to", str(key.with_name("secret.pub"))] if encrypted else []
    places = ["--run-dir", str(run_dir), "--out", str(out)]
    for moment in ("pack", "encrypt", "publish"):
        owner = "encryption" if moment == "encrypt" else "archive"
        if moment == "encrypt" and not encrypted:
            continue
        code = (
            "import os, signal, sys\n"
            f"from sep_ops.state import __main__, {owner}\n"
            f"real = {owner}.{moment}\n"
            "def killed(*args):\n"
            f"    {'pass' if moment == 'publish' else 'real(*args)'}\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            f"{owner}.{moment} = killed\n"
            "sys.exit(__main__.main())\n"
        )
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, "backup", "--without-journal", *options, *places],
            check=False,
            capture_output=True,
        )
        assert done.returncode == -9, done.stderr
        assert backups(out) == []
    assert list(out.iterdir()) != []
    a_backup(run_dir, out, *options)
    assert len(list(out.iterdir())) == 1
    assert list((run_dir / "state-work").iterdir()) == []


def test_retention_removes_older_backups_after_a_new_one(run_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("not a backup")
    clock = FakeClock()
    place = read_place({}, run_dir)
    scope = Scope(candles=False, journal=False)
    for _ in range(4):
        clock.advance(86_400)
        made = make_backup(place, out, clock, scope, recipients=[], daily=2, weekly=1)
    assert len(backups(out)) == 2
    assert made.path in backups(out)
    assert (out / "mine.txt").exists()


# Values.

names = st.binary(min_size=1, max_size=20)
values = st.one_of(
    st.tuples(st.just("string"), st.binary(max_size=200)),
    st.tuples(st.just("hash"), st.dictionaries(names, st.binary(max_size=50), min_size=1)),
    st.tuples(st.just("zset"), st.dictionaries(names, st.floats(-1e9, 1e9), min_size=1)),
    st.tuples(st.just("set"), st.sets(names, min_size=1)),
    st.tuples(st.just("list"), st.lists(names, min_size=1)),
    st.tuples(st.just("stream"), st.lists(names, min_size=1)),
)
stores = st.dictionaries(names, st.tuples(values, st.none() | st.integers(60, 10**6)), max_size=8)


def put(client: redis.Redis, key: bytes, kind: str, value: object) -> None:
    if kind == "string":
        client.set(key, value)  # type: ignore[arg-type]
    elif kind == "hash":
        client.hset(key, mapping=value)  # type: ignore[arg-type]
    elif kind == "zset":
        client.zadd(key, value)  # type: ignore[arg-type]
    elif kind == "set":
        client.sadd(key, *value)  # type: ignore[misc]
    elif kind == "list":
        client.rpush(key, *value)  # type: ignore[misc]
    else:
        for n, member in enumerate(value, start=1):  # type: ignore[arg-type, var-annotated]
            client.xadd(key, {b"f": member}, id=f"{n}-0")


@pytest.fixture(scope="module")
def two_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("two")
    with (
        EmbeddedValkey(folder / "a", append_only=False) as one,
        EmbeddedValkey(folder / "b", append_only=False) as two,
    ):
        yield one.url, two.url


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(stored=stores)
def test_every_type_value_and_end_survives(
    two_servers: tuple[str, str],
    tmp_path: Path,
    stored: dict[bytes, tuple[tuple[str, object], int | None]],
) -> None:
    file = tmp_path / "entries.gz"
    file.unlink(missing_ok=True)
    with open_store(two_servers[0]) as one, open_store(two_servers[1]) as two:
        one.flushall()
        for name, ((kind, value), ttl) in stored.items():
            put(one, name, kind, value)
            if ttl:
                one.expire(name, ttl)
        before = [*read_state(one, candles=True), *read_bulk(one, candles=True)]
        assert archive.write_entries(file, before) == len(stored)
        write_state(two, archive.read_entries(file), None)
        after = [*read_state(two, candles=True), *read_bulk(two, candles=True)]
        # Members of sets come in another order after a load: compare what is in them.
        assert {(e.key, e.expires_ms) for e in after} == {(e.key, e.expires_ms) for e in before}
        for name in stored:
            assert described(two, name) == described(one, name)


def described(client: redis.Redis, name: bytes) -> object:
    kind = client.type(name)
    if kind == b"string":
        return client.get(name)
    if kind == b"hash":
        return client.hgetall(name)
    if kind == b"zset":
        return client.zrange(name, 0, -1, withscores=True)
    if kind == b"set":
        return client.smembers(name)
    if kind == b"list":
        return client.lrange(name, 0, -1)
    return client.xinfo_stream(name)["last-generated-id"], client.xrange(name)


def test_what_has_ended_since_the_backup_is_not_made(two_servers: tuple[str, str]) -> None:
    with open_store(two_servers[0]) as client:
        client.flushall()
        client.set("k", "v")
        (entry,) = read_state(client, candles=False)
        write_state(client, [replace(entry, expires_ms=1), replace(entry, key=b"stays")], None)
        write_bulk(client, [replace(entry, key=b"ended", expires_ms=1)])
        assert client.keys("*") == [b"stays"]


def test_the_version_is_compared_by_its_numbers(run_dir: Path, tmp_path: Path) -> None:
    file = a_backup(run_dir, tmp_path / "out")
    (tmp_path / "m").mkdir()
    manifest = archive.unpack(file, tmp_path / "m")
    check_valkey("10.0.0", manifest.model_copy(update={"valkey_version": "9.10.0"}))
    with pytest.raises(UnusableError):
        check_valkey("9.1.9", manifest.model_copy(update={"valkey_version": "9.10.0"}))


def test_every_command_has_help_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("backup", "verify", "restore", "migrate", "repair", "key"):
        with pytest.raises(SystemExit) as stop:
            run(command, "--help")
        assert stop.value.code == 0
        assert len(capsys.readouterr().out) > 300
    with pytest.raises(SystemExit) as stop:
        run("backup", "--keep-daily", "some", "--out", "x")
    assert stop.value.code == 2


def test_a_run_directory_without_state_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("backup", "--run-dir", tmp_path / "none", "--out", tmp_path / "out") == 1
    assert "holds no state" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
