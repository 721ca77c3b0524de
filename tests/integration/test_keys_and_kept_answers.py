"""Keys that change while one looks, and answers that many ask for at once."""

import asyncio
import hmac
from pathlib import Path
from types import SimpleNamespace

import pytest
from sep_kit.grpc.response_cache import ResponseCache
from sep_kit.grpc.keys import MIN_KEY_LENGTH, Caller, KeyRing, Role
from sep_kit.grpc.deadlines import wait_within_deadline
from sep_kit.grpc.call_context import CallContext
from sep_stack.key_files import make_missing_keys
from sep_testing.clock import FakeClock

ALICE = Caller(Role.WRITE, "alice")
KEY = "a" * MIN_KEY_LENGTH


class Monotonic:
    """Turns only when told; a key ring looks again after a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
def ring(tmp_path: Path, monotonic: Monotonic) -> KeyRing:
    (tmp_path / "write.alice").write_text(KEY + "\n")
    return KeyRing(tmp_path, monotonic)


def test_a_key_is_known_by_its_file(ring: KeyRing) -> None:
    assert ring.caller(KEY) == ALICE
    assert ring.caller(KEY[:-1]) is None
    assert ring.caller("") is None
    assert ring.own_key() == ""


def test_the_time_of_a_look_tells_nothing_of_the_keys_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every key is compared in constant time, whether an earlier one was right or none is."""
    for name in ("internal", "read.grafana", "write.alice"):
        (tmp_path / name).write_text(name[0] * MIN_KEY_LENGTH)
    ring, compared = KeyRing(tmp_path, Monotonic()), []

    def counting(known: bytes, given: bytes) -> bool:
        compared.append(known)
        return hmac.compare_digest(known, given)

    monkeypatch.setattr("sep_kit.grpc.keys.hmac", SimpleNamespace(compare_digest=counting))
    for key in ("i" * MIN_KEY_LENGTH, "w" * MIN_KEY_LENGTH, "x", ""):
        compared.clear()
        ring.caller(key)
        assert len(set(compared)) == len(compared) == 3


def test_keys_come_and_go_within_a_second(
    ring: KeyRing, tmp_path: Path, monotonic: Monotonic
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
def test_what_is_no_key_never_counts(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    ring = KeyRing(tmp_path, Monotonic())
    assert ring.caller(content.strip()) is None


def test_a_folder_that_is_gone_takes_its_keys_along(
    ring: KeyRing, tmp_path: Path, monotonic: Monotonic
) -> None:
    assert ring.caller(KEY) == ALICE
    (tmp_path / "write.alice").unlink()
    tmp_path.rmdir()
    monotonic.now += 1.1
    assert ring.caller(KEY) is None


def test_missing_keys_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    made = make_missing_keys(folder)
    assert [p.name for p in made] == ["write", "internal"]
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in made)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert make_missing_keys(folder) == []
    ring = KeyRing(folder, Monotonic())
    assert ring.caller((folder / "write").read_text().strip()) == Caller(Role.WRITE, "write")
    assert ring.own_key() == (folder / "internal").read_text().strip()


def test_a_named_key_is_as_good_as_a_made_one(tmp_path: Path) -> None:
    (tmp_path / "write.alice").write_text(KEY)
    assert [p.name for p in make_missing_keys(tmp_path)] == ["internal"]


async def test_those_who_ask_at_once_get_one_answer(clock: FakeClock) -> None:
    cache, made, go_on = ResponseCache(clock), [], asyncio.Event()

    async def make() -> str:
        made.append(1)
        await go_on.wait()
        return "fact"

    async def ask() -> str:
        return str(await wait_within_deadline(cache.get("k", 1, make)[0], CallContext("a call")))

    asking = [asyncio.create_task(ask()) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()  # whoever was first may hang up
    go_on.set()
    assert set(await asyncio.gather(*asking[1:])) == {"fact"}
    assert len(made) == 1


async def test_an_answer_ends_with_its_second(clock: FakeClock) -> None:
    cache, made = ResponseCache(clock), []

    async def make() -> int:
        made.append(1)
        return len(made)

    clock.advance(0.5 - (clock.now_ns() % 10**9) / 1e9)
    answer, second = cache.get("k", 1, make)
    first = await answer
    clock.advance(0.4)
    assert cache.get("k", 1, make) == (answer, second)
    clock.advance(0.2)
    later, third = cache.get("k", 1, make)
    assert (await later, third) == (first + 1, second + 1)


async def test_a_failure_is_told_and_not_kept(clock: FakeClock) -> None:
    cache, outcomes = ResponseCache(clock), [OSError("away"), None]

    async def make() -> str:
        if error := outcomes.pop(0):
            raise error
        return "fact"

    with pytest.raises(OSError, match="away"):
        await cache.get("k", 1, make)[0]
    assert await cache.get("k", 1, make)[0] == "fact"
