"""The end-to-end suite, run against the deployed containers.

Its tests of processes (killed, stopped, their log files) and of the store itself, whose port is not
published, are left out; ``test_containers`` and
``test_deploys`` hold the ones for containers.
"""

import time
from collections.abc import AsyncIterator, Iterator

import grpc
import httpx
import pytest

from tests.containers.conftest import Containers, Deployed
from tests.containers.images import BASE
from tests.e2e.served import Served
from tests.e2e.test_access import (
    test_access_over_grpc,
    test_access_over_rest,
    test_the_kill_switch_records_the_name_of_the_key,
)
from tests.e2e.test_documents import (
    test_every_read_of_the_client_succeeds,
    test_generated_requests_get_documented_responses,
    test_the_client_examples_run,
    test_the_commands_in_the_docs_run_in_a_bare_shell,
    test_the_document_is_served,
    test_the_grpcurl_commands_in_the_docs_run,
    test_the_page_needs_no_network_and_no_scripts,
)
from tests.e2e.test_stack import (
    test_a_dry_run_decides_and_orders_nothing,
    test_an_invalid_call_gets_a_json_error_with_a_stable_reason,
    test_candles_are_exact_decimals_in_time_order,
    test_candles_are_fetched_on_request,
    test_every_route_returns_its_documented_fields,
    test_health_names_every_part,
    test_live_manifolds_stream_as_server_sent_events,
    test_metrics_are_the_union_of_all_services,
    test_metrics_gates_and_weights_within_two_minutes_and_a_filled_order,
    test_native_grpc_and_reflection_share_the_port,
    test_promtool_accepts_the_metrics,
    test_the_budget_follows_from_the_account,
    test_the_kill_switch_refuses_entries,
)
from tests.e2e.test_surface import (
    test_a_browser_gets_the_whole_state_each_time_it_opens_the_stream,
    test_a_caller_with_a_key_gets_no_cached_response,
    test_a_duplicate_body_field_is_refused,
    test_a_stream_of_an_unknown_instrument_is_an_error_response,
    test_an_unknown_or_null_body_field_is_refused,
    test_long_responses_are_compressed_on_request,
    test_only_reads_with_a_max_age_are_cached,
    test_the_native_stream_has_the_same_content,
)

__all__ = [
    "test_a_browser_gets_the_whole_state_each_time_it_opens_the_stream",
    "test_a_caller_with_a_key_gets_no_cached_response",
    "test_a_dry_run_decides_and_orders_nothing",
    "test_a_duplicate_body_field_is_refused",
    "test_a_stream_of_an_unknown_instrument_is_an_error_response",
    "test_access_over_grpc",
    "test_access_over_rest",
    "test_an_invalid_call_gets_a_json_error_with_a_stable_reason",
    "test_an_unknown_or_null_body_field_is_refused",
    "test_candles_are_exact_decimals_in_time_order",
    "test_candles_are_fetched_on_request",
    "test_every_read_of_the_client_succeeds",
    "test_every_route_returns_its_documented_fields",
    "test_generated_requests_get_documented_responses",
    "test_health_names_every_part",
    "test_live_manifolds_stream_as_server_sent_events",
    "test_long_responses_are_compressed_on_request",
    "test_metrics_are_the_union_of_all_services",
    "test_metrics_gates_and_weights_within_two_minutes_and_a_filled_order",
    "test_native_grpc_and_reflection_share_the_port",
    "test_only_reads_with_a_max_age_are_cached",
    "test_promtool_accepts_the_metrics",
    "test_the_budget_follows_from_the_account",
    "test_the_client_examples_run",
    "test_the_commands_in_the_docs_run_in_a_bare_shell",
    "test_the_document_is_served",
    "test_the_grpcurl_commands_in_the_docs_run",
    "test_the_kill_switch_records_the_name_of_the_key",
    "test_the_kill_switch_refuses_entries",
    "test_the_native_stream_has_the_same_content",
    "test_the_page_needs_no_network_and_no_scripts",
]
pytestmark = pytest.mark.timeout(1200)

KEYS = {"write.alice": "a" * 32, "read.grafana": "r" * 32}  # of tests.e2e.calls

ROUTES = (
    "/api/oanda/account",
    "/api/pairs",
    "/api/ranking/active",
    "/api/kill-switch",
)


def accepts(stack: "DeployedStack", route: str, key: str) -> bool:
    """Whether the service behind a route accepts a key."""
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.get(f"{stack.url}{route}", headers=headers, timeout=10)
    return answer.status_code != httpx.codes.UNAUTHORIZED


class DeployedStack(Served):
    """The interface of the suite's ``Stack``, implemented by the containers."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self.url = containers.url
        self.writer = "write"
        # The examples read their keys from here; the fixture ``api`` writes them.
        self.run_dir = containers.project.parent / "operator"

    def get(self, path: str, **params: str) -> httpx.Response:
        """GET through Envoy."""
        return httpx.get(f"{self.url}{path}", params=params or None, timeout=30)

    def post(self, path: str, body: object) -> httpx.Response:
        """POST through Envoy with a key for writing."""
        return self._containers.post(path, body)

    def tail(self) -> str:
        """The end of its output."""
        return self._containers.logs()


@pytest.fixture(scope="module")
def stack(containers: Containers, deployed: Deployed) -> DeployedStack:
    """The containers; entries may pass, as in ``make run``."""
    containers.set_kill_switch(engaged=False)
    return DeployedStack(containers)


@pytest.fixture
def trading(containers: Containers, stack: DeployedStack) -> DeployedStack:
    """The containers with the kill switch released, whatever an earlier test did."""
    containers.set_kill_switch(engaged=False)
    return stack


@pytest.fixture
def cold_stack(trading: DeployedStack) -> DeployedStack:
    """The containers that the deployment has started; no further set is deployed for one test."""
    return trading


@pytest.fixture(scope="module")
def api(containers: Containers, stack: DeployedStack) -> Iterator[DeployedStack]:
    """The containers, with a key of each kind."""
    folder = stack.run_dir / "keys"
    folder.mkdir(parents=True)
    for name, key in KEYS.items():
        (folder / name).write_text(key)
        (folder / name).chmod(0o600)
    keys = ("docker", "run", "--rm", "--network=none", "--volume=sep_keys:/keys", "--user=10001")
    write = "umask 077; " + "; ".join(f"echo {key} >/keys/{name}" for name, key in KEYS.items())
    remove = " ".join(f"/keys/{name}" for name in KEYS)
    assert containers.run(*keys, BASE, "sh", "-c", write) == (0, "")
    # Each service reloads its keys once a second.
    deadline = time.monotonic() + 30
    while not all(accepts(stack, route, key) for route in ROUTES for key in KEYS.values()):
        assert time.monotonic() < deadline, stack.tail()
        time.sleep(0.2)
    yield stack
    assert containers.run(*keys, BASE, "sh", "-c", f"rm {remove}") == (0, "")


@pytest.fixture
async def channel(api: DeployedStack) -> AsyncIterator[grpc.aio.Channel]:
    """A native gRPC channel to the public port."""
    async with grpc.aio.insecure_channel(api.url.removeprefix("http://")) as opened:
        yield opened
