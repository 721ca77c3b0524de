"""API keys, response caching and mutual TLS."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, FilePath

from sep_kit.settings.fields import Knobs
from sep_kit.settings.relations import Relation

if TYPE_CHECKING:
    from sep_kit.grpc.tls import TlsFiles


class Reads(StrEnum):
    """Whether reading needs a key."""

    OPEN = "open"
    KEY = "key"


class ApiAccess(StrEnum):
    """Whether calls need API keys."""

    KEYS = "keys"
    OPEN = "open"


class AccessKnobs(Knobs):
    """API keys and response caching."""

    relations: ClassVar[tuple[Relation, ...]] = (
        Relation(
            names=("api_access",),
            holds=lambda access: access is not ApiAccess.OPEN,
            sentence="every client that reaches the port may write; use keys",
        ),
    )

    api_access: ApiAccess = ApiAccess.KEYS
    """`keys`: writing needs a key of API_KEYS_DIR. `open`: all but foreign web pages may write."""
    api_keys_dir: Path | None = None
    """Folder of keys: `write`, `write.NAME`, `read.NAME`, `internal.SERVICE`; mode 600."""
    api_reads: Reads = Reads.OPEN
    """`key`: reading needs a key too, of any kind."""
    api_keep_answers: bool = True
    """`0` disables the response cache, so that every call is computed anew."""
    edge_write_limit: int = Field(20, ge=1, le=10_000)
    """Calls of each writing method that a key may make in ten seconds; an engage never counts."""
    edge_stream_limit: int = Field(20, ge=1, le=400)
    """Streams that one key, or one address without a key, may have open at one service."""


class TlsKnobs(Knobs):
    """Mutual TLS between the services; all three files or none."""

    relations: ClassVar[tuple[Relation, ...]] = (
        Relation(
            names=("grpc_tls_cert", "grpc_tls_key", "grpc_tls_ca"),
            holds=lambda *files: all(files) or not any(files),
            sentence="the three go together: all of them or none",
            always=True,
        ),
    )

    grpc_tls_cert: FilePath | None = None
    """Certificate of this service, with the DNS names `sep` and `SERVICE.sep`, as `guard.sep`."""
    grpc_tls_key: FilePath | None = None
    """Private key of the certificate."""
    grpc_tls_ca: FilePath | None = None
    """CA that signed the certificates of all services."""

    def tls(self) -> "TlsFiles | None":
        """The files; None without TLS."""
        if not (self.grpc_tls_cert and self.grpc_tls_key and self.grpc_tls_ca):
            return None
        from sep_kit.grpc.tls import TlsFiles  # it loads gRPC

        return TlsFiles(self.grpc_tls_cert, self.grpc_tls_key, self.grpc_tls_ca)
