"""Become another program that dies with its supervisor.

Run as ``python -I -S deathsig.py SUPERVISOR_PID PROGRAM ARGUMENT...``; it needs nothing but the
standard library. The kernel keeps the death signal over exec, so that even a supervisor ended by
SIGKILL leaves nothing behind. (A function between fork and exec could do the same, but not safely
in a program with threads.)
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NOT_FOUND = 127


def main() -> None:
    """Ask for the signal, then become the program."""
    supervisor, *program = sys.argv[1:]
    if sys.platform == "linux":  # others know no such signal, and lose no more than that
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(supervisor):
        sys.exit("the supervisor is gone already")
    try:
        os.execvp(program[0], program)  # noqa: S606  that is the point
    except OSError as error:
        print(f"can't start {program[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(_NOT_FOUND)


if __name__ == "__main__":
    main()
