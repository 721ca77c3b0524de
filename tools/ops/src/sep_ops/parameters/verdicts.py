"""The verdicts of a research run, read from its folder."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sep_client.requests import Wanted

_MANIFEST = "manifest.json"
_FORMAT = 1
NO_RESULTS = "NO_RESULTS_OUT_OF_SAMPLE"


class RunError(Exception):
    """The folder is no run, or has no verdict on the instrument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A research run.

    Attributes:
        name: name of its folder and the first digits of its manifest's SHA-256, which tell it
            from every other run.
        wanted: the winner of each instrument with the verdict on it, by instrument.
    """

    name: str
    wanted: dict[str, Wanted]

    def of(self, instruments: Sequence[str]) -> list[Wanted]:
        """The winners of these instruments.

        Raises:
            RunError: the run did not judge one of them; names those that it did.
        """
        missing = [i for i in instruments if i not in self.wanted]
        if missing:
            raise RunError(
                f"{self.name} has no verdict on {', '.join(missing)};"
                f" it judged {', '.join(sorted(self.wanted)) or 'nothing'}"
            )
        return [self.wanted[i] for i in instruments]


def read_run(folder: Path) -> Run:
    """The run in a folder that ``sep-research sweep`` wrote.

    Raises:
        RunError: there is no manifest, or one of another format, or one that is not whole.
    """
    path = folder / _MANIFEST
    try:
        raw = path.read_bytes()
        manifest = json.loads(raw)
        if manifest["format"] != _FORMAT:
            raise ValueError(f"its format is {manifest['format']}, allowed is {_FORMAT}")
        wanted = [_wanted(verdict) for verdict in manifest["verdicts"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{path} is not the manifest of a run: {error!r}") from None
    digest = hashlib.sha256(raw).hexdigest()[:12]
    return Run(name=f"{folder.resolve().name}@{digest}", wanted={w.instrument: w for w in wanted})


def _wanted(verdict: dict[str, Any]) -> Wanted:
    values = {str(name): float(value) for name, value in verdict["params"].items()}
    against = tuple(str(reason) for reason in verdict["reasons"])
    if not verdict["windows"]:
        against = (NO_RESULTS, *against)
    return Wanted(
        instrument=verdict["instrument"],
        values=values,
        judged=verdict["promote"] is True,
        against=against,
    )
