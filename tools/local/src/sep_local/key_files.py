"""Creates the API keys that a stack needs: one for writing, one for its own services.

``sep_kit.grpc.keys`` reads them and documents their roles.
"""

import os
import secrets
from pathlib import Path

from sep_local.errors import StackError

_BYTES = 32


def make_missing_keys(folder: Path) -> list[Path]:
    """Create a key for each role that has none, readable by its owner only.

    Returns:
        The new files.

    Raises:
        StackError: the folder can't be written.
    """
    made = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for role in ("write", "internal"):
            if any(p.name.partition(".")[0] == role for p in folder.iterdir()):
                continue
            # Renamed when complete: services may read the folder at any time.
            draft = folder / f".{role}.new"
            draft.unlink(missing_ok=True)
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as out:
                out.write(secrets.token_urlsafe(_BYTES) + "\n")
            draft.rename(folder / role)
            made.append(folder / role)
    except OSError as error:
        raise StackError(f"can't create keys in {folder}: {error.strerror}") from error
    return made
