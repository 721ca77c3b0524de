"""The command ``sep-stack doctor``: looks, judges, prints."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict

from sep_kit.clock import Clock

from sep_local.check import check_environment
from sep_local.doctor.findings import Finding, Level, examine
from sep_local.doctor.machine import observe
from sep_local.env_file import read_env_file
from sep_local.errors import StackError
from sep_local.parts import service_environment
from sep_local.settings import read_settings

_WIDTH = 9
"""Columns of the names of checks and levels."""


def run(arguments: argparse.Namespace, clock: Clock) -> int:
    """Print every finding; 1 if one of them is a fault."""
    findings = examine_machine(arguments, clock)
    if arguments.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=1))
    else:
        print(as_text(findings))
    return int(any(finding.level is Level.FAULT for finding in findings))


def examine_machine(arguments: argparse.Namespace, clock: Clock) -> list[Finding]:
    """The findings on this machine and these settings; without valid settings only that one."""
    try:
        from_file = read_env_file(arguments.env_file) if arguments.env_file else {}
        env = {**from_file, **os.environ}
        settings = read_settings(env, arguments.port_base)
        services = service_environment(settings, env)
        # A check before the token is there must be possible.
        check_environment({"OANDA_API_TOKEN": "given-later", **services}, from_file)
    except StackError as error:
        words = "; ".join(error.faults) or error.headline
        return [
            Finding(
                check="settings", level=Level.FAULT, observed=words, advice="see docs/settings.md"
            )
        ]
    url = None if settings.paper_trading else services["OANDA_API_URL"]
    fine = Finding(check="settings", level=Level.OK, observed=f"valid ({settings.environment})")
    return [fine, *examine(observe(settings, env, url, clock))]


def as_text(findings: Sequence[Finding]) -> str:
    """One line for each finding, and under it what to do."""
    lines = []
    for finding in findings:
        name, level = finding.check.ljust(_WIDTH), finding.level.ljust(_WIDTH)
        lines.append(f"{name} {level} {finding.observed}")
        if finding.advice:
            lines.append(f"{'':{2 * _WIDTH + 2}}{finding.advice}")
    return "\n".join(lines)
