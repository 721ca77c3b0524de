"""Writes the document and the page for Envoy to serve."""

import json
from importlib.metadata import version
from pathlib import Path

from sep_contract import read_contract

from sep_edge.openapi.document import native_methods, openapi_document
from sep_edge.openapi.page import render_page


def write_pages(folder: Path, url: str) -> None:
    """Write ``openapi.json`` and ``docs.html`` into a folder, which is created if missing.

    Args:
        url: where the stack is reached, for the commands on the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contract = read_contract()
    document = openapi_document(contract, version("sep-protos"))
    (folder / "openapi.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    page = render_page(document, native_methods(contract), url)
    (folder / "docs.html").write_text(page, "utf-8")
