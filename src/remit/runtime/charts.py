"""Charts as SVG text, for pages that stand alone: bars with intervals, lines, and an estimate with its interval at every look."""

from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#1b6ca8", "#d1495b", "#8a9a5b", "#edae49", "#6c567b", "#9aa5b1")
_WIDTH, _ROW, _LEFT, _RIGHT = 720, 30, 190, 110


def bars(rows: Sequence[tuple[str, float, float | None, float | None]], says: str) -> str:
    """Horizontal bars, one a row (name, value, low, high; no whisker where low is None); `says` describes the chart to those who do not see it."""
    ends = [0.0, *(each for _, value, low, high in rows for each in (value, low, high) if each is not None)]
    lowest, highest = min(ends), max(ends)
    span = (highest - lowest) or 1.0

    def x(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - lowest) / span

    parts = []
    for place, (name, value, low, high) in enumerate(rows):
        top = place * _ROW + 6
        left, right = sorted((x(0.0), x(value)))
        parts.append(f'<text x="{_LEFT - 10}" y="{top + 14}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{left:.1f}" y="{top}" width="{max(right - left, 1):.1f}" height="18" fill="{COLOURS[place % len(COLOURS)]}"/>')
        if low is not None and high is not None:
            middle = top + 9
            parts.append(
                f'<path d="M{x(low):.1f} {middle}H{x(high):.1f}M{x(low):.1f} {middle - 5}v10M{x(high):.1f} {middle - 5}v10" stroke="currentColor" fill="none"/>'
            )
        parts.append(f'<text x="{max(x(value), x(high if high is not None else value), x(0.0)) + 6:.1f}" y="{top + 14}">{_short(value)}</text>')
    parts.append(f'<path d="M{x(0.0):.1f} 0V{len(rows) * _ROW}" stroke="#888"/>')
    return _svg(parts, len(rows) * _ROW + 4, says)


def lines(series: Mapping[str, Sequence[float]], says: str, x_says: str) -> str:
    """Lines over whole steps, with their names at the right end."""
    height, bottom = 280, 240
    values = [0.0, *(value for line in series.values() for value in line)]
    lowest, highest = min(values), max(values)
    span, steps = (highest - lowest) or 1.0, max((len(line) for line in series.values()), default=1)

    def at(step: int, value: float) -> str:
        return f"{60 + (_WIDTH - 60 - _RIGHT) * step / max(steps - 1, 1):.1f} {bottom - (bottom - 14) * (value - lowest) / span:.1f}"

    parts = [f'<path d="M{at(0, 0.0)}L{at(steps - 1, 0.0)}" stroke="#888" fill="none"/>']
    parts += [f'<text x="54" y="{at(0, value).split()[1]}" text-anchor="end">{_short(value)}</text>' for value in (lowest, highest)]
    labels = _apart([(float(at(len(line) - 1, line[-1]).split()[1]), name) for name, line in series.items() if line])
    for place, (name, line) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = "L".join(at(step, value) for step, value in enumerate(line))
        parts.append(f'<path d="M{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 8}" y="{labels[name] + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    parts.append(f'<text x="{(_WIDTH - _RIGHT + 60) / 2}" y="{height - 12}" text-anchor="middle">{escape(x_says)}</text>')
    return _svg(parts, height, says)


def band(looks: Sequence[tuple[int, float, float, float]], says: str, x_says: str, between: tuple[float, float]) -> str:
    """An estimate and its interval at every look (number, value, low, high), against nothing; values lie `between`, so that charts can share a scale."""
    left, right, top, bottom, height = 96, 24, 16, 200, 256
    first, last = looks[0][0], looks[-1][0]
    lowest, highest = min(0.0, between[0]), max(0.0, between[1])
    span = (highest - lowest) or 1.0

    def x(number: float) -> float:
        return left + (_WIDTH - left - right) * ((number - first) / (last - first) if last > first else 0.5)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - lowest) / span

    above = [f"{x(number):.1f} {y(high):.1f}" for number, _, _, high in looks]
    below = [f"{x(number):.1f} {y(low):.1f}" for number, _, low, _ in reversed(looks)]
    parts = [
        f'<path d="M{"L".join([*above, *below])}Z" fill="{COLOURS[0]}" fill-opacity=".35"/>',
        f'<path d="M{left} {y(0.0):.1f}H{_WIDTH - right}" stroke="currentColor" stroke-dasharray="5 4"/>',
        f'<path d="M{"L".join(f"{x(number):.1f} {y(value):.1f}" for number, value, _, _ in looks)}" stroke="currentColor" stroke-width="2.5" fill="none"/>',
    ]
    for number, value, low, high in looks:
        told = f"{number}: {value:.4f} ({low:.4f} to {high:.4f})"
        parts.append(f'<path d="M{x(number):.1f} {y(low):.1f}V{y(high):.1f}" stroke="{COLOURS[0]}"/>')
        parts.append(f'<circle cx="{x(number):.1f}" cy="{y(value):.1f}" r="4" fill="currentColor"><title>{told}</title></circle>')
    marks = _apart([(y(value), f"{value:.3g}") for value in {lowest, 0.0, highest}], 22)
    parts += [f'<text x="{left - 12}" y="{at + 5:.1f}" text-anchor="end">{name}</text>' for name, at in marks.items()]
    parts += [f'<text x="{x(number):.1f}" y="{bottom + 24}" text-anchor="middle">{number}</text>' for number in sorted({first, last})]
    parts.append(f'<text x="{(left + _WIDTH - right) / 2}" y="{height - 8}" text-anchor="middle">{escape(x_says)}</text>')
    return _svg(parts, height, says, ' class="looks"')


def _apart(wanted: list[tuple[float, str]], line: int = 15) -> dict[str, float]:
    """Places of labels, at least a `line`'s height from each other, near where they are wanted."""
    places: dict[str, float] = {}
    last = -1e9
    for y, name in sorted(wanted):
        last = max(y, last + line)
        places[name] = last
    return places


def _short(value: float) -> str:
    for size, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:,.1f} {letter}"
    return f"{value:,.1f}" if abs(value) < 100 and value != int(value) else f"{value:,.0f}"


def _svg(parts: list[str], height: int, says: str, more: str = "") -> str:
    inner = "".join(parts)
    return f'<svg{more} role="img" aria-label="{escape(says)}" viewBox="0 0 {_WIDTH} {height}" xmlns="http://www.w3.org/2000/svg">{inner}</svg>'


def pairs(rows: Sequence[tuple[str, int, int]], names: tuple[str, str], says: str, x_says: str) -> str:
    """Two columns of counts side by side for each row (label, first, second), with a legend and every count written above its column."""
    left, right, top, bottom, height = 16, 16, 52, 250, 302
    highest = max((max(first, second) for _, first, second in rows), default=0) or 1
    step = (_WIDTH - left - right) / max(len(rows), 1)
    wide = min(step * 0.4, 60)
    parts = []
    for place, name in enumerate(names):
        parts.append(f'<rect x="{left + 210 * place}" y="8" width="14" height="14" fill="{COLOURS[1 - place]}"/>')
        parts.append(f'<text x="{left + 210 * place + 20}" y="20">{escape(name)}</text>')
    for number, (label, *counts) in enumerate(rows):
        middle = left + step * (number + 0.5)
        for place, count in enumerate(counts):
            tall, x = (bottom - top) * count / highest, middle + (place - 1) * wide
            parts.append(f'<rect x="{x + 1:.1f}" y="{bottom - tall:.1f}" width="{wide - 2:.1f}" height="{tall:.1f}" fill="{COLOURS[1 - place]}"/>')
            if count:  # beside another count, each is written away from it
                at, anchor = ((middle - 2, "end"), (middle + 2, "start"))[place] if counts[1 - place] else (x + wide / 2, "middle")
                parts.append(f'<text x="{at:.1f}" y="{bottom - tall - 5:.1f}" text-anchor="{anchor}" font-size="11">{_short(count)}</text>')
        parts.append(f'<text x="{middle:.1f}" y="{bottom + 20}" text-anchor="middle">{escape(label)}</text>')
    parts.append(f'<path d="M{left} {bottom}H{_WIDTH - right}" stroke="#888"/>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{height - 6}" text-anchor="middle">{escape(x_says)}</text>')
    return _svg(parts, height, says)


def grid(names: Sequence[str], cells: Sequence[Sequence[float | None]], says: str, unit: str) -> str:
    """A square of coloured cells, a row and a column for each name: red above nothing, blue below, the darker the further; each cell tells its amount to who
    points at it, and writes it where there is room. None is left blank."""
    left, top = 150, 150
    side = (_WIDTH - left - 8) / max(len(names), 1)
    side = min(side, 60.0)
    most = max((abs(value) for row in cells for value in row if value is not None), default=0.0) or 1.0
    size = min(13.0, side * 0.85)
    parts = []
    for number, name in enumerate(names):
        middle = side * (number + 0.5)
        said = escape(name if len(name) <= 20 else f"{name[:19]}\u2026")
        parts.append(f'<text x="{left - 8}" y="{top + middle + size / 3:.1f}" text-anchor="end" font-size="{size:.1f}">{said}</text>')
        at = f"{left + middle + size / 3:.1f} {top - 8}"
        parts.append(f'<text transform="translate({at}) rotate(-90)" font-size="{size:.1f}">{said}</text>')
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            x, y = left + side * column, top + side * row
            if value is None:
                continue
            told = f"{escape(names[row])} displaces {value:,.2f} {escape(unit)} of {escape(names[column])}"
            fill = COLOURS[1] if value > 0 else COLOURS[0]
            shade = 0.0 if value == 0 else 0.08 + 0.92 * abs(value) / most
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" fill="{fill}" fill-opacity="{shade:.3f}" stroke="#888" ')
            parts.append(f'stroke-opacity=".35"><title>{told}</title></rect>')
            if side >= 40 and value:
                parts.append(f'<text x="{x + side / 2:.1f}" y="{y + side / 2 + 4:.1f}" text-anchor="middle" font-size="11">{_short(value)}</text>')
    return _svg(parts, round(top + side * len(names) + 6), says)
