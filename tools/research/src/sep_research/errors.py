"""Errors of the commands; each message says what was wrong and what is allowed."""


class ResearchError(Exception):
    """A command can't do what it was asked. Exit code 1."""


class SchedulerUnreachableError(ResearchError):
    """The cluster's scheduler does not answer. Exit code 69."""


class StackUnreachableError(ResearchError):
    """The stack does not answer. Exit code 69."""
