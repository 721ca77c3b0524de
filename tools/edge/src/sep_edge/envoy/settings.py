"""Settings of one Envoy: where it listens, what is behind it, and its limits."""

from dataclasses import dataclass
from pathlib import Path

from sep_edge.address import Address
from sep_edge.envoy.endpoints import Endpoint, Tls

DEFAULT_READ_LIMIT = 50
"""Calls of each expensive read that one client address may make in ten seconds."""
MAX_HEAP_BYTES = 320 * 1024 * 1024
"""Below the memory limit of Envoy's container, less what is not on the heap."""
MAX_CONNECTIONS = 16_000
"""More than one client holds by accident; each is an open file."""
PROBE_USER_AGENT = "sep-stack"
"""Reads of ``/health`` with it are not logged: the start makes one every 200 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """Settings of one Envoy.

    Args:
        listen: the public address.
        transcoding: address of the second listener, behind the cache.
        gateway, evaluator, allocator, guard, journal: addresses of the services.
        descriptor_set: path of the contract's descriptor set, as Envoy sees it.
        tls: certificate of the public address; plain HTTP without it.
        grpc_tls: mutual TLS with the services; plain text without it.
        operator: a second address with the same API, for operators on this machine: no number of
            connections to the public address takes it away. Plain HTTP; none without it.
        admin: Envoy's admin interface; none without it.
        pages: folder of ``openapi.json`` and ``docs.html``; not served without it.
        console: folder of the built console; without it a page of links is served at ``/``.
        cors_origins: origins of web pages that may call the API.
        cache: whether Envoy caches responses that may be a second old.
        logged_reads: percentage of successful reads in the access log.
        allowed_hosts: host names of the public port, beside the loopback names and the address
            that it binds; ``*`` for any.
        read_limit: calls of each expensive read that a client address may make in ten seconds.
        max_heap_bytes: memory that Envoy may use.
        max_connections: connections of clients at the same time.
    """

    listen: Address
    transcoding: Endpoint
    gateway: Address
    evaluator: Address
    allocator: Address
    guard: Address
    journal: Address
    descriptor_set: Path
    tls: Tls | None = None
    grpc_tls: Tls | None = None
    operator: Endpoint | None = None
    admin: Endpoint | None = None
    pages: Path | None = None
    console: Path | None = None
    cors_origins: tuple[str, ...] = ()
    cache: bool = True
    logged_reads: int = 1
    allowed_hosts: tuple[str, ...] = ()
    read_limit: int = DEFAULT_READ_LIMIT
    max_heap_bytes: int = MAX_HEAP_BYTES
    max_connections: int = MAX_CONNECTIONS

    def services(self) -> dict[str, Address]:
        """The services' addresses by name."""
        return {
            "gateway": self.gateway,
            "evaluator": self.evaluator,
            "allocator": self.allocator,
            "guard": self.guard,
            "journal": self.journal,
        }
