"""What differs between one edge and the next, and the filters that its routes switch."""

from dataclasses import dataclass
from pathlib import Path

from sep_stack.address import Address
from sep_stack.envoy.wire import Endpoint, Tls

CLUSTER = "transcoding"

WRITE_LIMIT = 20
"""Calls of each writing method that one client address may make in ten seconds."""

CACHE = "envoy.filters.http.cache"
LIMIT = "envoy.filters.http.local_ratelimit"
LIMIT_TYPE = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
ONE_NAME = "sep.one_name"
LUA_TYPE = "envoy.extensions.filters.http.lua.v3.Lua"
# The cache files an answer under the name that the client has for this machine, too. Clients can
# make up any number of names, and must not fill the memory with them.
ONE_NAME_SOURCE = (
    'function envoy_on_request(handle) handle:headers():replace(":authority", "sep") end'
)


@dataclass(frozen=True, slots=True)
class Edge:
    """What differs between one edge and the next.

    Args:
        inner: where the transcoding listener is.
        descriptor_set: the contract, where Envoy finds it.
        pages: folder of ``openapi.json`` and ``docs.html``; none without it.
        cache: whether answers that may be a second old are kept here.
        logged_reads: of a hundred reads that went well, how many the access log tells.
        write_limit: calls of each writing method that one client may make in ten seconds.
    """

    listen: Address
    inner: Endpoint
    descriptor_set: Path
    tls: Tls | None = None
    pages: Path | None = None
    cors_origins: tuple[str, ...] = ()
    cache: bool = True
    logged_reads: int = 1
    write_limit: int = WRITE_LIMIT
