"""Addresses and TLS as Envoy's JSON configuration writes them."""

from dataclasses import dataclass
from pathlib import Path

from sep_edge.address import Address
from sep_edge.envoy.filters import Json, typed

Endpoint = Address | str
"""An address, or the path of a Unix domain socket; ``@name`` is an abstract socket."""

_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: certificate, key, and the authority that signed the peer's certificate."""

    cert: Path
    key: Path
    ca: Path | None = None


def address_json(endpoint: Endpoint) -> Json:
    """The address of a listener or of a host in a cluster."""
    if isinstance(endpoint, Address):
        return {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
    if endpoint.startswith("@"):
        return {"pipe": {"path": endpoint}}
    return {"pipe": {"path": endpoint, "mode": _OWNER_ONLY}}


def server_tls(tls: Tls) -> Json:
    """Transport socket of a listener: TLS 1.2 or newer, HTTP/2 or HTTP/1.1."""
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            common_tls_context={
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificates": [_certificate(tls)],
            },
        ),
    }


def client_tls(tls: Tls, server_name: str) -> Json:
    """Transport socket of a cluster: mutual TLS with servers of this DNS name."""
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            sni=server_name,
            common_tls_context={
                "alpn_protocols": ["h2"],
                "tls_certificates": [_certificate(tls)],
                "validation_context": {
                    "trusted_ca": {"filename": str(tls.ca)},
                    "match_typed_subject_alt_names": [
                        {"san_type": "DNS", "matcher": {"exact": server_name}}
                    ],
                },
            },
        ),
    }


def _certificate(tls: Tls) -> Json:
    return {
        "certificate_chain": {"filename": str(tls.cert)},
        "private_key": {"filename": str(tls.key)},
    }
