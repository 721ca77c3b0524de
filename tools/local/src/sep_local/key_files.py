"""Creates the API keys that a stack needs: one for writing, one for each of its services.

``sep_kit.grpc.keys`` reads them and documents their roles.
"""

import os
import secrets
from pathlib import Path

from sep_local.errors import StackError

SERVICES = ("gateway", "evaluator", "allocator", "guard", "journal")
"""Each has an internal key of its own, so that only the guard can order."""
_BYTES = 32


def make_missing_keys(folder: Path) -> list[Path]:
    """Create a write key if there is none, and the missing internal keys, for their owner only.

    Returns:
        The new files.

    Raises:
        StackError: the folder can't be written.
    """
    made: list[Path] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = {path.name for path in folder.iterdir()}
        wanted = [f"internal.{service}" for service in SERVICES]
        if not any(name.partition(".")[0] == "write" for name in present):
            wanted.insert(0, "write")
        made += [_make(folder, name) for name in wanted if name not in present]
    except OSError as error:
        raise StackError(f"can't create keys in {folder}: {error.strerror}") from error
    return made


def _make(folder: Path, name: str) -> Path:
    # Renamed when complete: services may read the folder at any time.
    draft = folder / f".{name}.new"
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as out:
        out.write(secrets.token_urlsafe(_BYTES) + "\n")
    return draft.rename(folder / name)
