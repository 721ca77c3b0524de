"""Executes a program that the kernel ends when the process that started it dies.

Run as ``python -I -S death_signal.py PARENT_PID SIGNAL PROGRAM ARGUMENT...``; it needs only the
standard library. The death signal survives exec, so that a supervisor or a test run ended by
SIGKILL leaves no process behind. (A function between fork and exec could set it too, but not safely
in a program with threads.)
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NOT_FOUND = 127


def dying_with_us(*command: str, by: signal.Signals = signal.SIGKILL) -> tuple[str, ...]:
    """The command line that executes a program for as long as this process lives.

    To the kernel the parent is the thread that starts it, which must not end before.

    Args:
        by: the signal that the program gets when its parent dies.
    """
    own = (sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(by)))
    return (*own, *command)


def main() -> None:
    """Set the death signal, then execute the program."""
    parent, number, *program = sys.argv[1:]
    if sys.platform == "linux":  # other systems have no such signal
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("the process that started this has already ended")
    try:
        os.execvp(program[0], program)  # noqa: S606  that is its purpose
    except OSError as error:
        print(f"can't start {program[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(_NOT_FOUND)


if __name__ == "__main__":
    main()
