import asyncio
import socket

import pytest
from sep_testing.loopback import OutsideConnectionError, is_loopback

# Reserved for documentation.
OUTSIDE = ("192.0.2.1", 9)


def test_a_connection_to_another_machine_is_refused(outside_connections: list[str]) -> None:
    with socket.socket() as client, pytest.raises(OutsideConnectionError):
        client.connect(OUTSIDE)
    with (
        socket.socket(type=socket.SOCK_DGRAM) as client,
        pytest.raises(OutsideConnectionError),
    ):
        client.sendto(b"x", OUTSIDE)
    assert len(outside_connections) == 2
    outside_connections.clear()  # any left would fail this test


async def test_asyncio_connections_are_refused_too(outside_connections: list[str]) -> None:
    with pytest.raises(OutsideConnectionError):
        await asyncio.open_connection(*OUTSIDE)
    outside_connections.clear()


def test_a_connection_to_this_machine_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (("127.0.0.1", 1), True),
        (("127.9.9.9", 1), True),
        (("::1", 1, 0, 0), True),
        (("localhost", 1), True),
        ("/run/valkey.sock", True),
        (("10.0.0.1", 1), False),
        (("8.8.8.8", 53), False),
        (("::ffff:8.8.8.8", 1, 0, 0), False),
        (("example.com", 80), False),
    ],
)
def test_only_loopback_addresses_and_paths_are_local(address: object, local: bool) -> None:
    assert is_loopback(address) is local
