"""A page of HTML without scripts, that needs no network: tables and figures."""

import html
import math
from collections.abc import Iterable, Sequence

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;
color:#1b1f24;background:#fff}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.2rem .6rem;text-align:right;
border-bottom:1px solid #d5dae1;white-space:nowrap}th{font-weight:600}td:first-child,th:first-child
{text-align:left}.yes{color:#0a6b3b;font-weight:600}.no{color:#9b2226;font-weight:600}
.scroll{overflow-x:auto}svg{max-width:100%;height:auto}figure{margin:1rem 0}
figcaption{color:#57606a}
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#15181c}th,td{border-color:#3a4048}
.yes{color:#5ad39a}.no{color:#ff8f87}figcaption{color:#a6adb7}}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>" + "\n".join(parts) + "\n</html>\n"
    )


def table(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells are HTML."""
    head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def figure(svg: str, caption: str) -> str:
    """A chart with its caption."""
    return f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>"


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
