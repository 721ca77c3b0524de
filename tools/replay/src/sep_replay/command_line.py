"""What the commands of ``sep-replay`` share: their errors, their knobs, and their console."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console
from sep_kit.settings.loading import InvalidSettingsError, unknown_name
from sep_kit.settings.names import unknown_names


def run_reporting_errors(command: Callable[[], int]) -> int:
    """The exit code of a command; an error of its input or its settings is printed instead."""
    try:
        return command()
    except InvalidSettingsError as error:
        print("The settings can't be used:", *error.faults, sep="\n  ", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"sep-replay: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sep-replay: interrupted; nothing was written", file=sys.stderr)
        return 130


def add_set_option(parser: argparse.ArgumentParser, summary: str = "a knob") -> None:
    """Let a command take ``--set NAME=VALUE``."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", type=_pair, help=summary
    )


def given_settings(args: argparse.Namespace) -> Mapping[str, str]:
    """The knobs that were given with ``--set``.

    Raises:
        InvalidSettingsError: one has no such name.
    """
    refuse_unknown(name for name, _ in args.set)
    return dict(args.set)


def refuse_unknown(names: Iterable[str]) -> None:
    """Check names of knobs that were given on purpose.

    Raises:
        InvalidSettingsError: one has no such name. In the environment a misspelled name may be
            another program's; here it was meant.
    """
    if unknown := unknown_names(names):
        raise InvalidSettingsError([unknown_name(name) for name in unknown])


def report_console() -> Console:
    """Standard output. A pipe has no width, and wrapped tables can't be compared or searched."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
