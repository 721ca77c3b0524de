"""The claim on a client order id in Valkey: one step, which recognises its own."""

import asyncio
from dataclasses import replace
from typing import Any

from sep_gateway.adapters.order_claim_store import ValkeyOrderClaimStore
from sep_gateway.ports import OrderClaim
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_testing.valkey import ValkeyServer

ID = "sep-1"
CLAIM = OrderClaim(ts_ms=1_772_625_600_000, since_transaction_id=7, by="one attempt")
OTHER = replace(CLAIM, by="another attempt")


class LossyProxy:
    """Forwards to Valkey; closes the connection in place of the first answer to a SET."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.lost = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while request := await reader.read(65_536):
                upstream_writer.write(request)
                response = await upstream_reader.read(65_536)
                if b"\r\nSET\r\n" in request and not self.lost:
                    self.lost += 1
                    return
                writer.write(response)
        finally:
            for side in (writer, upstream_writer):
                side.close()


async def test_a_claim_whose_answer_was_lost_is_recognised_as_its_own(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    """The client repeats a command over a new connection, and the first one was carried out."""
    proxy = LossyProxy(shared_valkey.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_valkey(f"redis://127.0.0.1:{port}/0") as client:
        claims = ValkeyOrderClaimStore(client)
        assert await claims.claim(ID, CLAIM) is None
        assert proxy.lost == 1
        # Anyone else, at the same millisecond too, meets it.
        assert await claims.claim(ID, OTHER) == CLAIM
    assert await reply(store.exists(keys.order_claim(ID)))


async def test_of_many_attempts_at_once_one_claims(store: Valkey) -> None:
    claims = ValkeyOrderClaimStore(store)
    attempts = [replace(CLAIM, by=str(n)) for n in range(50)]
    found: list[Any] = await asyncio.gather(*(claims.claim(ID, a) for a in attempts))
    assert found.count(None) == 1
    assert set(found) - {None} == {attempts[found.index(None)]}


async def test_a_replacement_sent_twice_succeeds_and_a_later_one_does_not(store: Valkey) -> None:
    claims = ValkeyOrderClaimStore(store)
    await claims.claim(ID, CLAIM)
    assert await claims.replace(ID, CLAIM, OTHER)
    assert await claims.replace(ID, CLAIM, OTHER)
    assert not await claims.replace(ID, CLAIM, replace(CLAIM, by="a third"))
    assert await claims.read(ID) == OTHER


async def test_a_claim_of_an_earlier_version_is_another_attempts(store: Valkey) -> None:
    await store.set(keys.order_claim(ID), '{"ts":1772625600000,"since":7}')
    claims = ValkeyOrderClaimStore(store)
    assert await claims.claim(ID, CLAIM) == replace(CLAIM, by="")
    assert await claims.replace(ID, replace(CLAIM, by=""), CLAIM)
