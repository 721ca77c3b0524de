"""Mutual TLS between the services: whoever has no certificate of our authority is refused.

Services move between addresses, so certificates name the stack, not a host: each carries the
DNS name ``sep``.
"""

from dataclasses import dataclass
from pathlib import Path

import grpc

NAME = "sep"
"""The DNS name in every service's certificate."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: this part's certificate and key, and the authority that signed everybody's."""

    cert: Path
    key: Path
    ca: Path

    def server(self) -> grpc.ServerCredentials:
        """What a server shows, and demands."""
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.cert.read_bytes())],
            root_certificates=self.ca.read_bytes(),
            require_client_auth=True,
        )

    def client(self) -> grpc.ChannelCredentials:
        """What a client shows, and demands."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca.read_bytes(),
            private_key=self.key.read_bytes(),
            certificate_chain=self.cert.read_bytes(),
        )
