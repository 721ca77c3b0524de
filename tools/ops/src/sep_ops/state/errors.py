"""Errors of ``sep-state``, each with its exit code."""


class StateError(Exception):
    """The command failed; the message says at what."""

    exit_code = 1


class RefusedError(StateError):
    """The command would destroy state, or meets a running stack; nothing was changed."""

    exit_code = 3


class UnusableError(StateError):
    """A backup or a file of the state can't be used; nothing was changed."""

    exit_code = 4
