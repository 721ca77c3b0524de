"""What a client without a key can take away from the operator of a running stack: nothing."""

import asyncio
import stat
import time
from functools import partial
from pathlib import Path

import httpx
import pytest
import redis
from sep_testing.eventually import eventually

from tests.e2e.calls import bearer, reason
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.timeout(600)

ENGAGE = {"kill_switch": True, "reason": "a test"}


def engage(stack: Stack) -> float:
    """Engage the kill switch; returns the seconds it took."""
    started = time.monotonic()
    response = httpx.post(
        f"{stack.url}/api/kill-switch", json=ENGAGE, headers=bearer("a" * 32), timeout=30
    )
    assert response.status_code == 200, response.text
    return time.monotonic() - started


async def open_streams(stack: Stack, count: int) -> list[asyncio.StreamWriter]:
    async def one() -> tuple[str, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        writer.write(b"GET /api/manifold/stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
        return (await asyncio.wait_for(reader.readline(), 30)).split()[1].decode(), writer

    opened = await asyncio.gather(*(one() for _ in range(count)))
    statuses = [status for status, _ in opened]
    assert statuses.count("200") <= 20
    assert set(statuses) <= {"200", "429", "503"}
    return [writer for _, writer in opened]


async def test_streams_and_idle_connections_leave_the_operator_alone(api: Stack) -> None:
    writers = await open_streams(api, 150)
    for _ in range(300):
        writers.append((await asyncio.open_connection("127.0.0.1", api.port))[1])
    try:

        async def prompt() -> bool:
            # The goal is 1 s; the machine is shared, and may stall during one of them.
            return await asyncio.to_thread(engage, api) < 3

        async def served(path: str) -> bool:
            response = await asyncio.to_thread(api.get, path)
            assert response.status_code == 200, (path, response.text)
            return True

        await eventually(prompt)
        for path in ("/health", "/api/status", "/api/pairs", "/api/coherence/status"):
            await eventually(partial(served, path))
    finally:
        for writer in writers:
            writer.close()


def test_calls_without_a_key_never_limit_an_engage(api: Stack) -> None:
    """As a web page sends them: no key, and a content type that needs no preflight."""
    with httpx.Client(base_url=api.url, headers={"content-type": "text/plain"}, timeout=30) as page:
        for _ in range(60):
            refused = page.post("/api/kill-switch", content=b"{}")
            assert reason(refused) in {"MISSING_KEY", "RATE_LIMITED"}
    engage(api)


def test_a_bad_key_file_is_named_in_the_status_and_costs_no_other_key(api: Stack) -> None:
    bad = api.run_dir / "keys" / "write.mallory"
    bad.write_bytes(b"\xef\xbb\xbfx\n")
    bad.chmod(0o600)
    try:
        deadline = time.monotonic() + 30
        while not (faults := api.get("/api/status").json()["key_file_faults"]):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert faults[0]["file"] == "write.mallory"
        # Each service reads the folder itself, once a second.
        while 'sep_api_key_file_faults{service="guard"} 1' not in api.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        engage(api)
    finally:
        bad.unlink()


def test_logs_state_and_keys_are_readable_by_their_owner_alone(api: Stack) -> None:
    for path in (api.run_dir, *api.run_dir.rglob("*")):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            assert path.stat().st_mode & 0o077 == 0, path


def test_anyone_reads_valkey_and_only_the_services_write(api: Stack) -> None:
    with redis.Redis(port=api.port + 1) as reader:
        assert reader.get("ops:kill_switch") in {b"0", b"1"}
        with pytest.raises(redis.exceptions.NoPermissionError):
            reader.set("ops:kill_switch", "0")
    url = Path(api.run_dir / "valkey.url").read_text().strip()
    with redis.Redis.from_url(url) as operator:
        assert operator.set("e2e:test", "1")
        assert operator.delete("e2e:test") == 1


def test_a_rebound_page_reads_nothing(api: Stack) -> None:
    response = httpx.get(
        f"{api.url}/api/oanda/account", headers={"host": "evil.example"}, timeout=30
    )
    assert (response.status_code, reason(response)) == (421, "HOST_NOT_ALLOWED")


@pytest.mark.parametrize("token", [{}, bearer("demo-token-not-a-secret")], ids=["none", "token"])
def test_the_faults_of_the_paper_broker_are_off(api: Stack, token: dict[str, str]) -> None:
    """A page or another user of the machine could halt the paper account otherwise."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{api.port + 2}", headers=token, timeout=30
    ) as broker:
        authorized = broker.get("/v3/accounts").status_code == httpx.codes.OK
        assert authorized == bool(token)
        for verb, body in (("GET", None), ("POST", {"kind": "halted"}), ("DELETE", None)):
            response = broker.request(verb, "/admin/faults", json=body)
            assert response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND}
            assert not authorized or response.status_code == httpx.codes.NOT_FOUND
