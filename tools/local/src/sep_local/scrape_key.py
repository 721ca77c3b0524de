"""The key with which Prometheus reads ``/metrics`` where ``API_READS=key``."""

import secrets
from pathlib import Path

from sep_local.errors import StackError

NAME = "read.prometheus"
"""The file in both folders. It allows reading only."""

_BYTES = 32


def make_scrape_key(keys: Path, share: Path) -> None:
    """Create the key if it is missing, and write a copy for Prometheus.

    Prometheus runs as another user and must not see the other keys. It gets a folder that holds
    nothing else, where every user may read.

    Raises:
        StackError: a folder can't be written.
    """
    key, copy = keys / NAME, share / NAME
    try:
        if not key.exists():
            # Renamed when complete: services may read the folder at any time.
            draft = keys / f".{NAME}.new"
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(_BYTES) + "\n", "ascii")
            draft.rename(key)
        draft = share / f".{NAME}.new"
        draft.write_text(key.read_text("ascii"), "ascii")
        draft.chmod(0o644)
        draft.rename(copy)
    except OSError as error:
        raise StackError(f"can't create the key of Prometheus: {error}") from error
