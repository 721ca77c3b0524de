"""Compile what running imports, and only that: a fraction of what is installed.

Imports every module of this tree's packages; Python writes the compiled form of each module that
is imported with them. ``sep_evaluator.cli.compile_ahead`` compiles the numerical code to machine
code.
"""

import contextlib
import pkgutil
import sys
from importlib import import_module

sys.dont_write_bytecode = False
for package in pkgutil.iter_modules():
    if not package.name.startswith("sep_") or package.name == "sep_testing":
        continue
    for module in pkgutil.walk_packages(import_module(package.name).__path__, f"{package.name}."):
        if not module.name.endswith("__main__"):
            # A module whose optional dependency is missing is not imported by running either.
            with contextlib.suppress(ImportError):
                import_module(module.name)
