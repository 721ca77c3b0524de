"""Copy the pictures that the console's tests took into this folder: each view once, some twice.

The figures in them are made up (tests/console/canned_answers.py): a fresh stack has no yesterday.
"""

import shutil
from pathlib import Path

FOLDER = Path(__file__).parent
TAKEN = FOLDER.parents[1] / "build" / "console"
VIEWS = (
    "overview", "why", "why-EUR_JPY", "instrument-EUR_USD", "decisions-d41",
    "decisions-d41-with-d40", "positions", "results", "research", "research-run", "system",
)  # fmt: skip
ALSO = ("overview-dark-1280", "why-dark-1280", "results-dark-1280", "overview-light-390",
        "why-light-390", "results-light-390")  # fmt: skip


def main() -> None:
    """Replace every picture."""
    chosen = [f"{view}-light-1280.png" for view in VIEWS] + [f"{name}.png" for name in ALSO]
    for old in FOLDER.glob("*.png"):
        old.unlink()
    for name in chosen:
        shutil.copy(TAKEN / name, FOLDER / name)


if __name__ == "__main__":
    main()
