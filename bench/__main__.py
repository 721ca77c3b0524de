"""Run the measurements: a table each, and a JSON file each in ``bench/out``."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console

from bench.runner import Options, machine, save, show

_HERE = Path(__file__).parent
_STOPPED = 130  # as a shell says of Ctrl-C


def main() -> int:
    """Measure what was asked for; 0, whatever the figures, and 130 after Ctrl-C."""
    found = sorted(path.stem.removeprefix("bench_") for path in _HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(found)}; all")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and shorter baselines")
    parser.add_argument("--out", type=Path, default=_HERE / "out", help="folder of the JSON files")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.suites) - set(found))
    if unknown:
        parser.error(f"no suite {', '.join(unknown)}; there are {', '.join(found)}")
    console, on = Console(), machine()
    console.print("on " + ", ".join(f"{name} {value}" for name, value in on.items() if value))
    if on["load_before"] > 0.25:
        console.print("others keep this machine busy: it can do better than what follows")
    try:
        for name in arguments.suites or found:
            suite = import_module(f"bench.bench_{name}")
            with console.status(f"measuring {suite.TITLE}"):
                figures = suite.measure(Options(quick=arguments.quick))
            show(suite.TITLE, figures, console)
            save(arguments.out / f"{name}.json", suite.TITLE, on, figures)
    except KeyboardInterrupt:
        console.print(f"stopped; the suites shown above are in {arguments.out}", style="red")
        return _STOPPED
    console.print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
