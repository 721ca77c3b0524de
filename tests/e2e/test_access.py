"""Access by role: the same over REST, over native gRPC and without the proxy."""

from typing import Any

import grpc
import httpx
import pytest
from sep_contract import Access, Method
from sep_testing.eventually import eventually

from tests.e2e.calls import CALLERS, METHODS, REST, bearer, grpc_reason, reason, send
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.timeout(600)

REFUSED = {  # by access and caller
    ("read", "unknown_key"): "WRONG_KEY",
    ("read", "malformed"): "WRONG_KEY",
    ("write", "anonymous"): "MISSING_KEY",
    ("write", "reader"): "READ_KEY_ONLY",
    ("write", "unknown_key"): "WRONG_KEY",
    ("write", "malformed"): "WRONG_KEY",
    ("internal", "anonymous"): "MISSING_KEY",
    ("internal", "reader"): "INTERNAL_ONLY",
    ("internal", "writer"): "INTERNAL_ONLY",
    ("internal", "unknown_key"): "WRONG_KEY",
    ("internal", "malformed"): "WRONG_KEY",
}
STATUS = {"MISSING_KEY": 401, "WRONG_KEY": 401, "READ_KEY_ONLY": 403, "INTERNAL_ONLY": 403}
CODE = {401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("method", REST, ids=lambda m: f"{m.verb} {m.route}")
def test_access_over_rest(api: Stack, method: Method, caller: str) -> None:
    if method.name == "ExecuteDrain" and caller == "writer":
        pytest.skip("closes positions")
    if method.name == "RollBackParameters" and caller == "writer":
        pytest.skip("takes back a change, and there is none")
    expected = REFUSED.get((method.access, caller))
    response = send(api, method, **CALLERS[caller])
    if expected is None:
        assert response.status_code == 200, response.text
    else:
        assert (response.status_code, reason(response)) == (STATUS[expected], expected)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("path", METHODS)
async def test_access_over_grpc(channel: grpc.aio.Channel, path: str, caller: str) -> None:
    """With empty requests: an allowed call may fail, but not with an access error."""
    method = METHODS[path]
    if caller == "writer" and method.access == "write" and method.name != "SetKillSwitch":
        pytest.skip("changes something")
    found, code = await outcome(channel, method, tuple(CALLERS[caller].items()))
    expected = REFUSED.get((method.access, caller))
    if expected is None:
        assert found not in STATUS
    else:
        assert (found, code) == (expected, CODE[STATUS[expected]])


async def outcome(
    channel: grpc.aio.Channel, method: Method, metadata: tuple[tuple[str, str], ...]
) -> tuple[str, grpc.StatusCode]:
    """Reason and code of an empty call; a stream ends at its first event."""
    opened: Any = channel
    try:
        if method.streams:
            async for _ in opened.unary_stream(method.path)(b"", metadata=metadata, timeout=30):
                break
        else:
            await opened.unary_unary(method.path)(b"", metadata=metadata, timeout=30)
    except grpc.aio.AioRpcError as error:
        return grpc_reason(error), error.code()
    return "", grpc.StatusCode.OK


def test_methods_have_the_expected_access() -> None:
    by_access: dict[Access, list[str]] = {}
    for method in METHODS.values():
        by_access.setdefault(method.access, []).append(method.name)
    assert by_access[Access.OPEN] == ["GetHealth"]
    assert sorted(by_access[Access.WRITE]) == [
        "EvaluateNow",
        "ExecuteDrain",
        "FetchCandles",
        "Flatten",
        "PlanDrain",
        "PromoteParameters",
        "Reconcile",
        "RollBackParameters",
        "SetKillSwitch",
        "SetLock",
        "TestNotifications",
    ]
    assert sorted(by_access[Access.INTERNAL]) == [
        "ClosePosition",
        "CloseTrade",
        "EngageKillSwitch",
        "GetOrder",
        "ListTransactions",
        "PlaceMarketOrder",
        "RemakeDecision",
        "SetTradeStop",
    ]


async def test_a_call_that_bypasses_the_proxy_meets_the_same_rules(api: Stack) -> None:
    guard = f"127.0.0.1:{api.port + 6}"
    async with grpc.aio.insecure_channel(guard) as direct:
        method = METHODS["/sep.guard.v1.GuardService/SetKillSwitch"]
        found, _ = await outcome(direct, method, ())
    assert found == "MISSING_KEY"


def test_the_kill_switch_records_the_name_of_the_key(api: Stack) -> None:
    body = {"kill_switch": True, "reason": "test", "actor": "another name"}
    url = f"{api.url}/api/kill-switch"
    response = httpx.post(url, json=body, headers=CALLERS["writer"], timeout=30)
    assert response.json()["actor"] == "alice"
    assert httpx.get(url, timeout=30).json()["actor"] == "alice"


async def test_a_key_is_rotated_without_a_restart(api: Stack) -> None:
    keys = api.run_dir / "keys"

    def status(key: str) -> int:
        url = f"{api.url}/api/trade/reconcile"
        return httpx.post(url, json={"dry_run": True}, headers=bearer(key), timeout=30).status_code

    assert status("b" * 32) == 401
    (keys / "write.bob").write_text("b" * 32)
    assert status("b" * 32) == 401  # others of the machine may read it
    (keys / "write.bob").chmod(0o600)
    await eventually(lambda: status("b" * 32) == 200, within_s=30)
    (keys / "write.bob").unlink()
    await eventually(lambda: status("b" * 32) == 401, within_s=30)
    assert status("a" * 32) == 200


def test_keys_are_readable_by_their_owner_only_and_never_logged(api: Stack) -> None:
    internal = api.run_dir / "keys" / "internal.guard"
    assert internal.stat().st_mode & 0o777 == 0o600
    httpx.get(f"{api.url}/api/status", headers=bearer("leaked-leaked-leaked-leaked"), timeout=30)
    logs = "".join(p.read_text() for p in (api.run_dir / "logs").glob("*.log"))
    for key in (internal.read_text().strip(), "a" * 32, "r" * 32, "leaked-leaked"):
        assert key not in logs
