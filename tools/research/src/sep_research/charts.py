"""Charts as SVG text, without a script: a curve, a histogram and a heatmap."""

import html
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _EDGE = 800, 220, 44
_LINE, _MARK, _GRID = "#3b7dd8", "#d9822b", "#8c959f"


def curve(values: Sequence[float]) -> str:
    """A curve of shares over equal steps, with a line at 0."""
    low, high = min(0.0, *values), max(0.0, *values)
    height = (high - low) or 1.0

    def y(value: float) -> float:
        return _HEIGHT - _EDGE - (value - low) / height * (_HEIGHT - 2 * _EDGE)

    step = (_WIDTH - 2 * _EDGE) / max(1, len(values) - 1)
    points = " ".join(f"{_EDGE + i * step:.1f},{y(v):.1f}" for i, v in enumerate(values))
    return _svg(
        _rule(y(0.0))
        + f'<polyline points="{points}" fill="none" stroke="{_LINE}" stroke-width="2"/>'
        + _text(_EDGE, y(high) - 6, f"{high:.3%}")
        + _text(_EDGE, y(low) + 14, f"{low:.3%}")
    )


def histogram(values: Sequence[float], marks: Sequence[tuple[str, float]]) -> str:
    """A histogram with named vertical lines."""
    every = [*values, *(value for _, value in marks)]
    low, high = min(every), max(every)
    width = (high - low) or 1.0
    bins = max(5, min(40, round(len(values) ** 0.5) * 2))
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / width * bins))] += 1

    def x(value: float) -> float:
        return _EDGE + (value - low) / width * (_WIDTH - 2 * _EDGE)

    bar = (_WIDTH - 2 * _EDGE) / bins
    tall = (_HEIGHT - 2 * _EDGE) / max(counts)
    base = _HEIGHT - _EDGE
    parts = [
        f'<rect x="{_EDGE + i * bar:.1f}" y="{base - n * tall:.1f}" width="{bar - 1:.1f}" '
        f'height="{n * tall:.1f}" fill="{_LINE}" opacity="0.6"/>'
        for i, n in enumerate(counts)
        if n
    ]
    for place, (name, value) in enumerate(marks):
        parts.append(
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{_EDGE}" y2="{base}" '
            f'stroke="{_MARK}" stroke-width="2"/>'
        )
        parts.append(_text(min(x(value) + 4, _WIDTH - 90), _EDGE + 12 * (place % 10), name))
    parts += [_rule(base), _text(_EDGE, base + 16, f"{low:.2f}"),
              _text(_WIDTH - _EDGE - 30, base + 16, f"{high:.2f}")]  # fmt: skip
    return _svg("".join(parts))


def heatmap(
    across: Sequence[float], down: Sequence[float], values: Mapping[tuple[int, int], float]
) -> str:
    """A table of colours: blue above 0, orange below, the figure in each cell."""
    wide, tall = min(110, (_WIDTH - 110) // len(across)), 26
    most = max((abs(v) for v in values.values()), default=1.0) or 1.0
    parts = [_text(100 + i * wide, 14, f"{a:g}") for i, a in enumerate(across)]
    for j, d in enumerate(down):
        parts.append(_text(4, 38 + j * tall, f"{d:g}"))
        for i in range(len(across)):
            value = values.get((i, j))
            if value is None:
                continue
            colour = _LINE if value > 0 else _MARK
            parts.append(
                f'<rect x="{96 + i * wide}" y="{20 + j * tall}" width="{wide - 2}" '
                f'height="{tall - 2}" fill="{colour}" opacity="{abs(value) / most * 0.8:.2f}"/>'
            )
            parts.append(_text(100 + i * wide, 38 + j * tall, f"{value:.2f}"))
    return _svg("".join(parts), 110 + wide * len(across), 30 + tall * len(down))


def _rule(y: float) -> str:
    return (
        f'<line x1="{_EDGE}" x2="{_WIDTH - _EDGE}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}" '
        'stroke-width="1"/>'
    )


def _text(x: float, y: float, text: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" fill="currentColor">'
        f"{html.escape(text)}</text>"
    )


def _svg(content: str, width: int = _WIDTH, height: int = _HEIGHT) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img">{content}</svg>'
