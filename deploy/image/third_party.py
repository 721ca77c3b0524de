"""List the third-party dependencies of an image, for its Dockerfile.

``third_party.py SERVICE LIBRARY... --out FOLDER`` takes folders of packages and writes two
requirements files: ``shared.txt`` with what the libraries need, ``service.txt`` with what the
service needs. The Dockerfile installs from them, so that a change of source code, or of a
pyproject.toml outside its dependencies, reinstalls nothing.

Packages of this tree (``sep-...``) are left out: they are built from source, and an index is never
asked for them. Exits with 1 if one of them is needed and not among the folders.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

_OWN = "sep-"


def project(folder: Path) -> tuple[str, list[str]]:
    """Name and dependencies of the package in a folder."""
    table = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return table["name"], list(table.get("dependencies", []))


def own_name(requirement: str) -> str:
    """The package of this tree that a requirement names, or ""."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")
    return name if name.startswith(_OWN) else ""


def main() -> int:
    """Write both lists; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", type=Path)
    parser.add_argument("libraries", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()
    name, service = project(options.service)
    libraries = dict(map(project, options.libraries))
    shared = [need for needs in libraries.values() for need in needs]
    needed = {own for need in (*shared, *service) if (own := own_name(need))}
    if unknown := needed - libraries.keys():
        print(f"{name} needs {', '.join(sorted(unknown))}, not in the image", file=sys.stderr)
        return 1
    for file, needs in (("shared.txt", shared), ("service.txt", service)):
        lines = sorted({need for need in needs if not own_name(need)})
        (options.out / file).write_text("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
