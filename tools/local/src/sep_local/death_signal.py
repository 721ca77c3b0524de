"""Executes a program that the kernel kills when the supervisor dies.

Run as ``python -I -S death_signal.py SUPERVISOR_PID PROGRAM ARGUMENT...``; it needs only the
standard library. The death signal survives exec, so that a supervisor ended by SIGKILL leaves no
process behind. (A function between fork and exec could set it too, but not safely in a program with
threads.)
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NOT_FOUND = 127


def main() -> None:
    """Set the death signal, then execute the program."""
    supervisor, *program = sys.argv[1:]
    if sys.platform == "linux":  # other systems have no such signal
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(supervisor):
        sys.exit("the supervisor has already ended")
    try:
        os.execvp(program[0], program)  # noqa: S606  that is its purpose
    except OSError as error:
        print(f"can't start {program[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(_NOT_FOUND)


if __name__ == "__main__":
    main()
