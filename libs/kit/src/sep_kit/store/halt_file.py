"""The file of an engaged kill switch that the store has not taken yet."""

import os
from pathlib import Path

from pydantic import ValidationError

from sep_kit.logging import get_logger
from sep_kit.store.records import KillSwitchChange

_log = get_logger("KillSwitch")


class HaltFile:
    """One change in one file, on disk when ``write`` returns.

    Args:
        folder: created if it is missing.
        service: each service has a file of its own.
    """

    def __init__(self, folder: Path, service: str) -> None:
        self.path = folder / f"kill_switch.{service}.json"

    def read(self, now_ms: int) -> KillSwitchChange | None:
        """The change; None without a file. One that can't be read counts as engaged."""
        try:
            return KillSwitchChange.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            _log.error(
                "kill switch file unreadable: engaged", file=str(self.path), error=str(error)
            )
            return KillSwitchChange(
                ts=now_ms, engaged=True, reason=f"{self.path.name} can't be read", actor=""
            )

    def write(self, change: KillSwitchChange) -> None:
        """Replace the file.

        Raises:
            OSError: it can't be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(change.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        self._sync_folder()

    def delete(self) -> None:
        """Delete the file, if there is one.

        Raises:
            OSError: it can't be deleted.
        """
        self.path.unlink(missing_ok=True)
        if self.path.parent.is_dir():
            self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
