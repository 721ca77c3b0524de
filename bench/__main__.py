"""Run the measurements; each suite prints a table and writes a JSON file to ``bench/out``."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console

from bench.runner import Options, machine, save, show

_HERE = Path(__file__).parent
_INTERRUPTED = 130  # the shell's exit code for SIGINT


def main() -> int:
    """Run the chosen suites. Returns 0 whatever the figures, 130 after Ctrl-C."""
    found = sorted(path.stem.removeprefix("bench_") for path in _HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(found)}; all")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and shorter baselines")
    parser.add_argument("--out", type=Path, default=_HERE / "out", help="folder of the JSON files")
    parser.add_argument(
        "--baseline", type=Path, metavar="CHECKOUT",
        help="also compare the guard's decisions with those of another checkout, which has a .venv",
    )  # fmt: skip
    parser.add_argument(
        "--nautilus", type=Path, metavar="PYTHON",
        help="an interpreter with nautilus_trader 1.221.0, which needs other packages than we do: "
        "put it beside a replay",
    )  # fmt: skip
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.suites) - set(found))
    if unknown:
        parser.error(f"unknown suite {', '.join(unknown)}; known are {', '.join(found)}")
    console, measured_on = Console(), machine()
    console.print(
        "on " + ", ".join(f"{name} {value}" for name, value in measured_on.items() if value)
    )
    if measured_on["load_before"] > 0.25:
        console.print("the machine is busy: the figures will be worse than it can do")
    options = Options(
        quick=arguments.quick, baseline=arguments.baseline, nautilus=arguments.nautilus
    )
    try:
        for name in arguments.suites or found:
            suite = import_module(f"bench.bench_{name}")
            with console.status(f"measuring {suite.TITLE}"):
                figures = suite.measure(options)
            show(suite.TITLE, figures, console)
            save(arguments.out / f"{name}.json", suite.TITLE, measured_on, figures)
    except KeyboardInterrupt:
        console.print(f"stopped; the suites shown above are in {arguments.out}", style="red")
        return _INTERRUPTED
    console.print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
