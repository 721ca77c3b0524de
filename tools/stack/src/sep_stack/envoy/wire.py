"""Words of Envoy's configuration that its parts share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sep_stack.address import Address

Json = dict[str, Any]

TYPE = "type.googleapis.com/"
NO_TIMEOUT = "0s"
HEADER_MUTATION = "envoy.filters.http.header_mutation"
HEADER_MUTATION_TYPE = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files; ``ca`` is the authority that the other side's certificate must come from."""

    cert: Path
    key: Path
    ca: Path | None = None


Endpoint = Address | str
"""An address, or the path of a Unix domain socket; ``@name`` is one without a file."""


def endpoint(where: Endpoint) -> Json:
    """An address as Envoy writes it."""
    if isinstance(where, Address):
        return {"socket_address": {"address": where.host, "port_value": where.port}}
    if where.startswith("@"):
        return {"pipe": {"path": where}}
    return {"pipe": {"path": where, "mode": _OWNER_ONLY}}


def typed(kind: str, **fields: Any) -> Json:
    """A message that names its type."""
    return {"@type": TYPE + kind, **fields}


def http_filter(name: str, kind: str, *, disabled: bool = False, **fields: Any) -> Json:
    """A filter; a disabled one waits for a route to switch it on."""
    config: Json = {"name": name, "typed_config": typed(kind, **fields)}
    return config | ({"disabled": True} if disabled else {})


def exactly(header: str, value: str) -> Json:
    """Matches a header of this very value."""
    return {"name": header, "string_match": {"exact": value}}


def http2_options() -> Json:
    """Cluster options that make it speak HTTP/2."""
    return {
        _HTTP_OPTIONS: typed(_HTTP_OPTIONS, explicit_http_config={"http2_protocol_options": {}})
    }


def header_mutation(
    *, request: Sequence[Json] = (), response: Sequence[Json] = (), disabled: bool = False
) -> Json:
    """A filter that changes headers."""
    return http_filter(
        HEADER_MUTATION,
        HEADER_MUTATION_TYPE,
        disabled=disabled,
        mutations={"request_mutations": list(request), "response_mutations": list(response)},
    )


def header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Json:
    """A header to set."""
    return {"header": {"key": name, "value": value}, "append_action": action}


ROUTER = http_filter(
    "envoy.filters.http.router",
    "envoy.extensions.filters.http.router.v3.Router",
    suppress_envoy_headers=True,
)


def listener(where: Endpoint, manager: Json, tls: Tls | None = None) -> Json:
    """A listener with one HTTP connection manager."""
    chain: Json = {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": typed(
                    "envoy.extensions.filters.network.http_connection_manager.v3"
                    ".HttpConnectionManager",
                    **manager,
                ),
            }
        ]
    }
    if tls:
        chain["transport_socket"] = {
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
    config: Json = {
        "name": manager["stat_prefix"],
        "address": endpoint(where),
        "filter_chains": [chain],
    }
    if isinstance(where, Address):
        # Two Envoys on one port would share it without a word.
        config["enable_reuse_port"] = False
    return config


def upstream_tls(tls: Tls, name: str) -> Json:
    """Mutual TLS towards servers whose certificates carry this DNS name."""
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            sni=name,
            common_tls_context={
                "alpn_protocols": ["h2"],
                "tls_certificates": [_certificate(tls)],
                "validation_context": {
                    "trusted_ca": {"filename": str(tls.ca)},
                    "match_typed_subject_alt_names": [
                        {"san_type": "DNS", "matcher": {"exact": name}}
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
