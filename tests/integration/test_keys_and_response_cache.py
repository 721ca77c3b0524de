"""Key files that change at runtime, and the response cache under concurrent callers."""

import asyncio
import hmac
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from sep_kit.grpc.call_context import CallContext
from sep_kit.grpc.deadlines import wait_within_deadline
from sep_kit.grpc.keys import MIN_KEY_LENGTH, Caller, KeyRing, Role
from sep_kit.grpc.response_cache import ResponseCache
from sep_local.key_files import make_missing_keys
from sep_testing.clock import FakeClock

ALICE = Caller(Role.WRITE, "alice")
KEY = "a" * MIN_KEY_LENGTH
INTERNAL = [
    f"internal.{service}" for service in ("gateway", "evaluator", "allocator", "guard", "journal")
]


class FakeMonotonic:
    """A monotonic clock that tests move; a key ring reads its folder again after a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def put(path: Path, key: str) -> None:
    """Write a key file as it should be: for its owner alone."""
    path.write_text(key)
    path.chmod(0o600)


@pytest.fixture
def monotonic() -> FakeMonotonic:
    return FakeMonotonic()


@pytest.fixture
def ring(tmp_path: Path, monotonic: FakeMonotonic) -> KeyRing:
    put(tmp_path / "write.alice", KEY + "\n")
    return KeyRing(tmp_path, monotonic)


def test_a_key_has_the_role_and_name_of_its_file(ring: KeyRing) -> None:
    assert ring.caller(KEY) == ALICE
    assert ring.caller(KEY[:-1]) is None
    assert ring.caller("") is None
    assert ring.own_key() == ""


def test_the_time_of_a_lookup_does_not_depend_on_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every key is compared in constant time, also after a match."""
    for name in ("internal", "read.grafana", "write.alice"):
        put(tmp_path / name, name[0] * MIN_KEY_LENGTH)
    ring, compared = KeyRing(tmp_path, FakeMonotonic()), []

    def counting(known: bytes, given: bytes) -> bool:
        compared.append(known)
        return hmac.compare_digest(known, given)

    monkeypatch.setattr("sep_kit.grpc.keys.hmac", SimpleNamespace(compare_digest=counting))
    for key in ("i" * MIN_KEY_LENGTH, "w" * MIN_KEY_LENGTH, "x", ""):
        compared.clear()
        ring.caller(key)
        assert len(set(compared)) == len(compared) == 3


def test_added_and_removed_keys_take_effect_within_a_second(
    ring: KeyRing, tmp_path: Path, monotonic: FakeMonotonic
) -> None:
    assert ring.caller(KEY) == ALICE
    put(tmp_path / "write.bob", "b" * MIN_KEY_LENGTH)
    put(tmp_path / "internal", "i" * MIN_KEY_LENGTH)
    (tmp_path / "write.alice").unlink()
    assert ring.caller(KEY) == ALICE
    monotonic.now += 1.1
    assert ring.caller("b" * MIN_KEY_LENGTH) == Caller(Role.WRITE, "bob")
    assert ring.caller(KEY) is None
    assert ring.own_key() == "i" * MIN_KEY_LENGTH


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("write", ""),
        ("write", "short"),
        ("admin", "a" * MIN_KEY_LENGTH),
        (".write.new", "a" * MIN_KEY_LENGTH),
        ("write", "\u00e4" * MIN_KEY_LENGTH),
    ],
)
def test_an_invalid_key_file_is_ignored(tmp_path: Path, name: str, content: str) -> None:
    put(tmp_path / name, content)
    ring = KeyRing(tmp_path, FakeMonotonic())
    assert ring.caller(content.strip()) is None


def damage(path: Path, how: str) -> None:
    """Make the file one that can't be used."""
    match how:
        case "byte order mark":
            path.write_bytes(b"\xef\xbb\xbf" + KEY.encode())
            path.chmod(0o600)
        case "dangling link":
            path.symlink_to(path.parent / "nothing")
        case "directory":
            path.mkdir()
        case "readable by all":
            put(path, KEY)
            path.chmod(0o644)
        case "pipe":
            os.mkfifo(path, 0o600)
        case "sparse terabyte":
            put(path, KEY)
            os.truncate(path, 2**40)
        case "loop of links":
            path.symlink_to(path)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("byte order mark", "byte order mark"),
        ("dangling link", "unreadable: No such file"),
        ("directory", "not a file"),
        ("readable by all", "chmod 600"),
        ("pipe", "not a file"),
        ("sparse terabyte", "larger than 4096 bytes"),
        ("loop of links", "unreadable: Too many levels"),
    ],
)
def test_a_bad_file_costs_its_own_key_alone(
    ring: KeyRing, tmp_path: Path, monotonic: FakeMonotonic, how: str, reason: str
) -> None:
    """Before, one such file cancelled every key, those of the services included."""
    put(tmp_path / "internal.guard", "g" * MIN_KEY_LENGTH)
    assert (ring.caller(KEY), ring.faults()) == (ALICE, ())
    damage(tmp_path / "write.bob", how)
    monotonic.now += 1.1
    assert ring.caller(KEY) == ALICE
    assert ring.caller("g" * MIN_KEY_LENGTH) == Caller(Role.INTERNAL, "guard")
    (fault,) = ring.faults()
    assert fault.file == "write.bob"
    assert reason in fault.reason
    bad = tmp_path / "write.bob"
    bad.rmdir() if how == "directory" else bad.unlink()
    monotonic.now += 1.1
    assert ring.faults() == ()


def test_a_service_sends_the_internal_key_of_its_name(tmp_path: Path) -> None:
    put(tmp_path / "internal", "i" * MIN_KEY_LENGTH)
    put(tmp_path / "internal.guard", "g" * MIN_KEY_LENGTH)
    assert KeyRing(tmp_path, FakeMonotonic(), "guard").own_key() == "g" * MIN_KEY_LENGTH
    assert KeyRing(tmp_path, FakeMonotonic(), "allocator").own_key() == "i" * MIN_KEY_LENGTH


def test_removing_the_folder_removes_its_keys(
    ring: KeyRing, tmp_path: Path, monotonic: FakeMonotonic
) -> None:
    assert ring.caller(KEY) == ALICE
    (tmp_path / "write.alice").unlink()
    tmp_path.rmdir()
    monotonic.now += 1.1
    assert ring.caller(KEY) is None


def test_missing_keys_are_created_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    made = make_missing_keys(folder)
    assert [p.name for p in made] == ["write", *INTERNAL]
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in made)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert make_missing_keys(folder) == []
    ring = KeyRing(folder, FakeMonotonic(), "guard")
    assert ring.caller((folder / "write").read_text().strip()) == Caller(Role.WRITE, "write")
    assert ring.own_key() == (folder / "internal.guard").read_text().strip()


def test_no_key_is_created_for_a_role_that_has_a_named_key(tmp_path: Path) -> None:
    put(tmp_path / "write.alice", KEY)
    assert [p.name for p in make_missing_keys(tmp_path)] == INTERNAL


async def test_simultaneous_callers_share_one_response(clock: FakeClock) -> None:
    cache, calls, proceed = ResponseCache(clock), [], asyncio.Event()

    async def make() -> str:
        calls.append(1)
        await proceed.wait()
        return "value"

    async def call() -> str:
        return str(await wait_within_deadline(cache.get("k", 1, make)[0], CallContext("a call")))

    callers = [asyncio.create_task(call()) for _ in range(50)]
    await asyncio.sleep(0)
    callers[0].cancel()  # the first caller may cancel
    proceed.set()
    assert set(await asyncio.gather(*callers[1:])) == {"value"}
    assert len(calls) == 1


async def test_a_response_expires_at_the_end_of_its_second(clock: FakeClock) -> None:
    cache, calls = ResponseCache(clock), []

    async def make() -> int:
        calls.append(1)
        return len(calls)

    clock.advance(0.5 - (clock.now_ns() % 10**9) / 1e9)
    response, second = cache.get("k", 1, make)
    first = await response
    clock.advance(0.4)
    assert cache.get("k", 1, make) == (response, second)
    clock.advance(0.2)
    later, third = cache.get("k", 1, make)
    assert (await later, third) == (first + 1, second + 1)


async def test_an_error_is_raised_to_the_caller_and_not_cached(clock: FakeClock) -> None:
    cache, outcomes = ResponseCache(clock), [OSError("unavailable"), None]

    async def make() -> str:
        if error := outcomes.pop(0):
            raise error
        return "value"

    with pytest.raises(OSError, match="unavailable"):
        await cache.get("k", 1, make)[0]
    assert await cache.get("k", 1, make)[0] == "value"
