"""A whole stack on ports of its own, as ``sep-stack up`` starts it, for measurements."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sep_kit.death_signal import dying_with_us
from sep_testing.ports import reserve_ports

_ROOT = Path(__file__).parents[1]
_PORTS = 9
_END_S = 60.0


@contextmanager
def started_stack(
    env_file: str,
    folder: Path,
    changed: Mapping[str, str] | None = None,
    inside: Sequence[str] = (),
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A stack that starts, with its address; it ends with the context.

    Args:
        env_file: name of a file in ``deploy``.
        folder: where it runs: its log is ``stack.log``, its run directory ``run``.
        changed: settings that have precedence over the file's.
        inside: a command that executes the one that it is given.
    """
    port = reserve_ports(_PORTS)
    command = ["-m", "sep_local", "up", "--env-file", str(_ROOT / "deploy" / env_file)]
    with (folder / "stack.log").open("wb") as log:
        process = subprocess.Popen(
            dying_with_us(*inside, sys.executable, *command, "--port-base", str(port)),
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "SEP_RUN_DIR": str(folder / "run"), **(changed or {})},
            # Ctrl-C reaches the measurement alone, which then ends the stack in order.
            start_new_session=True,
        )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
