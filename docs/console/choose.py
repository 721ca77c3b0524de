"""Copy the pictures that the console's tests took into this folder: each view once, some twice."""

import shutil
from pathlib import Path

FOLDER = Path(__file__).parent
TAKEN = FOLDER.parents[1] / "build" / "console"
ALSO = ("overview-dark-1280", "why-dark-1280", "overview-light-390", "why-light-390")


def main() -> None:
    """Replace every picture."""
    chosen = {path.name for path in TAKEN.glob("*-light-1280.png")} | {f"{n}.png" for n in ALSO}
    for old in FOLDER.glob("*.png"):
        old.unlink()
    for name in sorted(chosen):
        shutil.copy(TAKEN / name, FOLDER / name)


if __name__ == "__main__":
    main()
