"""Methods, callers and requests for the tests of the running API."""

from typing import Any

import httpx
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError
from sep_contract import Method, read_contract

from tests.e2e.conftest import Stack

METHODS = read_contract().methods
QUERIES = {
    "/api/manifold/coeffs": {"instrument": "EUR_USD"},
    "/api/candles": {"instrument": "EUR_USD", "limit": "5"},
}
BODIES: dict[str, Any] = {
    "/api/parameters/promote": {
        "wanted": [{"instrument": "EUR_USD", "values": {}, "judged_to_promote": True}],
        "reason": "a test",
        "dry_run": True,
    },
    "/api/trade/reconcile": {"dry_run": True},
    "/api/kill-switch": {"kill_switch": True, "reason": "test"},
    "/api/candles/fetch": {"instruments": ["EUR_USD"], "count": 10},
    "/api/drain/plan": {},
    "/api/risk/locks": {"instrument": "EUR_USD", "locked": False, "reason": "test"},
    "/api/flatten": {"reason": "test", "dry_run": True},
}
REST = [m for m in METHODS.values() if m.route and not m.streams]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


LATE = {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT}
ANONYMOUS: dict[str, str] = {}
CALLERS = {
    "anonymous": ANONYMOUS,
    "reader": bearer("r" * 32),
    "writer": bearer("a" * 32),
    "unknown_key": bearer("x" * 32),
    "malformed": {"authorization": "Basic YTph"},
}


def send(stack: Stack, method: Method, **headers: str) -> httpx.Response:
    """Call a route; again, at most twice, when a machine that stalls makes a part late."""
    for _ in range(3):
        response = _send(stack, method, headers)
        if response.status_code not in LATE:
            break
    return response


def _send(stack: Stack, method: Method, headers: dict[str, str]) -> httpx.Response:
    if method.verb == "POST":
        body = BODIES.get(method.route, {})
        return httpx.post(f"{stack.url}{method.route}", json=body, headers=headers, timeout=30)
    query = QUERIES.get(method.route)
    path = method.route
    if "{id}" in path:
        path = path.format(id=newest_decision(stack))
    return httpx.get(f"{stack.url}{path}", params=query, headers=headers, timeout=30)


def newest_decision(stack: Stack) -> str:
    """Id of a decision that is in the journal."""
    url = f"{stack.url}/api/decisions?page_size=1"
    found = httpx.get(url, headers=CALLERS["writer"], timeout=30).json()["decisions"]
    return str(found[0]["id"])


def reason(response: httpx.Response) -> str:
    details = response.json()["details"]
    assert details, response.text
    return str(details[0]["reason"])


def grpc_reason(error: AioRpcError) -> str:
    trailing: Any = error.trailing_metadata() or ()
    # None in the client's own errors, as of a deadline that has passed.
    details = dict(trailing).get("grpc-status-details-bin")
    if details is None:
        return ""
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    return str(info.reason)
