"""Key files that change at runtime, and the response cache under concurrent callers."""

import asyncio
import hmac
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


class FakeMonotonic:
    """A monotonic clock that tests move; a key ring reads its folder again after a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> FakeMonotonic:
    return FakeMonotonic()


@pytest.fixture
def ring(tmp_path: Path, monotonic: FakeMonotonic) -> KeyRing:
    (tmp_path / "write.alice").write_text(KEY + "\n")
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
        (tmp_path / name).write_text(name[0] * MIN_KEY_LENGTH)
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
    (tmp_path / "write.bob").write_text("b" * MIN_KEY_LENGTH)
    (tmp_path / "internal").write_text("i" * MIN_KEY_LENGTH)
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
    (tmp_path / name).write_text(content)
    ring = KeyRing(tmp_path, FakeMonotonic())
    assert ring.caller(content.strip()) is None


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
    assert [p.name for p in made] == ["write", "internal"]
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in made)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert make_missing_keys(folder) == []
    ring = KeyRing(folder, FakeMonotonic())
    assert ring.caller((folder / "write").read_text().strip()) == Caller(Role.WRITE, "write")
    assert ring.own_key() == (folder / "internal").read_text().strip()


def test_no_key_is_created_for_a_role_that_has_a_named_key(tmp_path: Path) -> None:
    (tmp_path / "write.alice").write_text(KEY)
    assert [p.name for p in make_missing_keys(tmp_path)] == ["internal"]


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
