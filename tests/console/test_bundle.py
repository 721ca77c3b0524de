"""What a browser loads: how much, and that it says whose work it contains."""

import gzip
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIRST_LOAD = 70 * 1024
ALL = 140 * 1024


def compressed(files: list[Path]) -> int:
    """Bytes as Envoy sends them."""
    return sum(len(gzip.compress(file.read_bytes(), mtime=0)) for file in files)


def test_the_first_load_and_everything_are_within_their_limits(built: Path) -> None:
    page = (built / "index.html").read_text()
    named = [built / path.lstrip("/") for path in re.findall(r"(?:src|href)=\"(/[^\"]+)\"", page)]
    assert len(named) == 3
    assert compressed([built / "index.html", *named]) <= FIRST_LOAD
    assert compressed([file for file in built.rglob("*") if file.is_file()]) <= ALL


def test_the_page_has_no_inline_script_or_style(built: Path) -> None:
    page = (built / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert "<style" not in page
    assert " style=" not in page


def test_the_licences_of_everything_bundled_are_served(built: Path) -> None:
    licences = (built / "licences.txt").read_text()
    for name in ("preact", "uplot", "lightweight-charts", "fancy-canvas"):
        assert f"== {name} " in licences
    assert "TradingView Lightweight Charts" in licences


def test_terms_are_explained_in_the_words_of_the_glossary() -> None:
    source = (ROOT / "console" / "src" / "parts" / "glossary.ts").read_text()
    terms = re.findall(r'^  \["([^"]+)", "([^"]+)"\],$', source, re.MULTILINE)
    assert len(terms) >= 11
    glossary = (ROOT / "docs" / "glossary.md").read_text().replace("`", "")
    for term, meaning in terms:
        row = rf"^\| .*{re.escape(term.split(', ')[-1])}.* \| {re.escape(meaning)}"
        assert re.search(row, glossary, re.MULTILINE), term
