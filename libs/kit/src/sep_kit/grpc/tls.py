"""Mutual TLS between the services: peers without a certificate of the stack's CA are refused.

Services move between addresses, so all certificates carry the same DNS name, ``sep``. A service's
certificate also carries its own, such as ``guard.sep``, which methods of the guard alone check.
"""

from dataclasses import dataclass
from pathlib import Path

import grpc

DNS_NAME = "sep"
"""The DNS name in every service's certificate."""


def service_name(service: str) -> str:
    """The DNS name that only this service's certificate carries."""
    return f"{service}.{DNS_NAME}"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: this service's certificate and key, and the CA that signed all certificates."""

    cert: Path
    key: Path
    ca: Path

    def server(self) -> grpc.ServerCredentials:
        """Credentials of a server that demands client certificates."""
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.cert.read_bytes())],
            root_certificates=self.ca.read_bytes(),
            require_client_auth=True,
        )

    def client(self) -> grpc.ChannelCredentials:
        """Credentials of a client that presents the certificate and accepts the CA's servers."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca.read_bytes(),
            private_key=self.key.read_bytes(),
            certificate_chain=self.cert.read_bytes(),
        )
