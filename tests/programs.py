"""Programs that some tests run, and that a minimal system lacks."""

import shutil

import pytest

DEBIAN_PACKAGES = {"promtool": "prometheus"}
"""Packages that are not named as their program."""


def needs(program: str, untested: str) -> pytest.MarkDecorator:
    """Skip a test where a program is not installed.

    Args:
        untested: what is not tested then, in capitals: the reason begins with it.
    """
    package = DEBIAN_PACKAGES.get(program, program)
    reason = f"{untested}: {program} is not installed (Debian: {package})"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


def needs_curl(*commands: str) -> tuple[pytest.MarkDecorator, ...]:
    """Marks of a test that runs these commands of the documents."""
    if any("curl " in command for command in commands):
        return (needs("curl", "COMMANDS OF THE DOCUMENTS NOT RUN"),)
    return ()
