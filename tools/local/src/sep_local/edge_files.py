"""Envoy's files of a local stack, written in a process of its own.

Rendering them means loading the contract: 12 MB (measured), which the supervisor would hold for as
long as the stack runs.
"""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from sep_edge.envoy.settings import EdgeSettings
from sep_kit.death_signal import dying_with_us

from sep_local.errors import StackError


def write_edge_files(edge: EdgeSettings, config: Path, pages: Path, console: Path | None) -> None:
    """Write Envoy's configuration, and into the folder ``pages`` the API's pages and the console.

    Args:
        console: folder of the built console; None for none.

    Raises:
        StackError: the files can't be written.
    """
    done = subprocess.run(  # noqa: S603  our own program
        dying_with_us(sys.executable, "-m", "sep_local.edge_files"),
        input=pickle.dumps((edge, config, pages, console)),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").splitlines()[-1:]
        raise StackError("Envoy's files can't be written:", reason)


def main() -> None:
    """Read the arguments of ``write_edge_files`` from standard input, and write the files."""
    from sep_edge.console import copy_console
    from sep_edge.envoy.config import render
    from sep_edge.openapi.write import write_pages

    edge, config, pages, console = pickle.load(sys.stdin.buffer)  # noqa: S301  from our own parent
    write_pages(pages)
    copied = copy_console(console, pages / "console")
    config.write_text(render(replace(edge, console=copied)))


if __name__ == "__main__":
    main()
