"""Writes the document and the page for Envoy to serve."""

import json
from importlib.metadata import version
from pathlib import Path

from sep_stack.contract import read_contract
from sep_stack.openapi.document import native_methods, openapi_document
from sep_stack.openapi.page import render_page


def write_pages(folder: Path, descriptor_set: Path) -> None:
    """Put ``openapi.json`` and ``docs.html`` into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    contract = read_contract(descriptor_set)
    document = openapi_document(contract, version("sep-protos"))
    (folder / "openapi.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (folder / "docs.html").write_text(render_page(document, native_methods(contract)), "utf-8")
