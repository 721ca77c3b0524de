"""``sep-state repair`` on files that a real Valkey wrote and that were damaged afterwards."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_kit.store import keys
from sep_ops.state import cli
from sep_ops.state.aof import inspect_file
from sep_ops.state.server import EmbeddedValkey
from sep_ops.state.store import open_store
from sep_testing.clock import FakeClock

pytestmark = pytest.mark.timeout(300)
KNOWN = frozenset({"set", "multi", "exec", "select"})


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VALKEY_URL", "JOURNAL_DB_URL", "SEP_RUN_DIR", "KILL_SWITCH_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A stopped run directory: 100 keys, then a transaction, then one more key."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    with EmbeddedValkey(folder / "valkey") as server, open_store(server.url) as client:
        client.set(keys.KILL_SWITCH, "0")
        for n in range(100):
            client.set(f"key:{n}", "x" * 50)
        with client.pipeline(transaction=True) as pipe:
            pipe.set("first", "1")
            pipe.set("second", "2")
            pipe.execute()
        client.set("last", "3")
    return folder


def repair(run_dir: Path, *options: str) -> int:
    return cli.run(["repair", "--run-dir", str(run_dir), *options], FakeClock())


def written(run_dir: Path) -> Path:
    (file,) = (run_dir / "valkey" / "appendonlydir").glob("*.incr.aof")
    return file


def stored(run_dir: Path) -> dict[bytes, bytes]:
    """Strings by key."""
    with EmbeddedValkey(run_dir / "valkey") as server, open_store(server.url) as client:
        found = [k for k in client.keys("*") if client.type(k) == b"string"]
        return {key: client.get(key) for key in found}  # type: ignore[misc]


def test_whole_files_are_left_alone(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = written(run_dir).read_bytes()
    assert repair(run_dir) == 0
    assert "nothing is damaged" in capsys.readouterr().out
    assert written(run_dir).read_bytes() == before
    assert not (run_dir / "kill_switch").exists()
    assert stored(run_dir)[keys.KILL_SWITCH.encode()] == b"0"


def test_a_truncated_file_loses_its_last_command_and_comes_up_halted(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(run_dir)
    file.write_bytes(file.read_bytes()[:-3])
    found = file.read_bytes()
    assert repair(run_dir, "--dry-run") == 0
    assert "ends inside of a command" in capsys.readouterr().out
    assert written(run_dir).read_bytes() == found
    assert repair(run_dir) == 0
    out = capsys.readouterr().out
    assert "no whole command among them" in out
    assert "The kill switch is engaged" in out
    after = stored(run_dir)
    assert b"last" not in after
    assert after[b"second"] == b"2"
    assert after[keys.KILL_SWITCH.encode()] == b"1"
    assert {p.name for p in (run_dir / "kill_switch").iterdir()} == {
        "kill_switch.guard.json",
        "kill_switch.gateway.json",
    }
    (aside,) = run_dir.glob("valkey.damaged-*")
    assert (aside / "appendonlydir" / file.name).read_bytes() == found


def test_half_a_transaction_is_cut_off_whole(run_dir: Path) -> None:
    file = written(run_dir)
    data = file.read_bytes()
    file.write_bytes(data[: data.index(b"second")])
    assert repair(run_dir) == 0
    after = stored(run_dir)
    assert b"first" not in after
    assert b"key:99" in after


@pytest.mark.parametrize("mark", [b"$6\r\nkey:50\r\n", b"SET\r\n$6\r\nkey:50"])
def test_damage_in_the_middle_names_what_is_lost_after_it(
    run_dir: Path, capsys: pytest.CaptureFixture[str], mark: bytes
) -> None:
    """Of the form, and of a command's name."""
    file = written(run_dir)
    data = bytearray(file.read_bytes())
    data[data.index(mark)] ^= 0x08
    file.write_bytes(bytes(data))
    assert repair(run_dir) == 0
    out = capsys.readouterr().out
    assert "is damaged after byte" in out
    assert "52 whole commands among them" in out
    assert "key:51 (1)" in out
    after = stored(run_dir)
    assert b"key:49" in after
    assert b"key:50" not in after
    assert after[keys.KILL_SWITCH.encode()] == b"1"


def test_a_damaged_base_can_not_be_repaired_and_stays_as_it_is(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (base,) = (run_dir / "valkey" / "appendonlydir").glob("*.base.rdb")
    data = bytearray(base.read_bytes())
    data[:9] = b"DAMAGED!!"
    base.write_bytes(bytes(data))
    assert repair(run_dir) == 4
    assert "nothing was changed. Restore a backup" in capsys.readouterr().err
    assert base.read_bytes() == bytes(data)
    assert not list(run_dir.glob("valkey.*"))


def test_a_missing_manifest_or_file_is_named(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(run_dir)
    file.rename(run_dir / "taken away")
    assert repair(run_dir) == 4
    assert f"{file.name} is missing" in capsys.readouterr().err
    shutil.rmtree(run_dir / "valkey")
    assert repair(run_dir) == 1
    assert "has no append-only files" in capsys.readouterr().err


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


commands = st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=30)), max_size=8)


@given(pairs=commands, cut=st.integers(0, 400))
def test_wherever_a_file_ends_whole_commands_stay_and_no_half_one(
    pairs: list[tuple[bytes, bytes]], cut: int
) -> None:
    parts = [command(b"SET", key, value) for key, value in pairs]
    data = b"".join(parts)[:cut]
    found = inspect_file(data, KNOWN)
    ends = [len(b"".join(parts[:n])) for n in range(len(parts) + 1)]
    assert found.good == max(end for end in ends if end <= len(data))
    assert found.whole == (len(data) in ends)


@given(data=st.binary(max_size=300))
def test_no_bytes_confuse_the_reader(data: bytes) -> None:
    found = inspect_file(data, KNOWN)
    assert 0 <= found.good <= found.size == len(data)
    again = inspect_file(data[: found.good], KNOWN)
    assert again.whole
