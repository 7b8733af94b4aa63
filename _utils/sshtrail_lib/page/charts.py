"""
Charts as inline SVG: drawn from numbers alone, with a title that says the same in words.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

#: A part of a bar: its name (str), how many (int) and the class of its colour (str).
Part = tuple[str, int, str]
WIDTH, HEIGHT = 600, 18
#: The width of a column, the height of the tallest, and that of a line of text.
STEP, TALL, LETTER = 52, 48, 16


def bar(label: str, parts: Sequence[Part]) -> Markup:
    """
    Return a bar that is divided as its parts are (Markup), an empty one where there is nothing.

    label
        What it is of (str).
    parts
        Each one's name, number and colour (sequence of tuple).
    """
    parts = [part for part in parts if part[1] > 0]
    total = sum(count for _name, count, _colour in parts)
    said = ", ".join(f"{count} {name}" for name, count, _colour in parts) or "nothing to show"
    drawn, at = [], 0.0
    for name, count, colour in parts:
        width = WIDTH * count / total
        title = Markup("<title>{} {}</title>").format(count, name)
        drawn.append(
            Markup('<rect class="{}" x="{:.1f}" y="0" width="{:.1f}" height="{}">{}</rect>').format(
                colour, at, width, HEIGHT, title
            )
        )
        at += width
    return Markup(
        '<svg role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" class="chart">{}</svg>'
    ).format(f"{label}: {said}", WIDTH, HEIGHT, Markup("").join(drawn))


def columns(label: str, values: Sequence[tuple[str, int]]) -> Markup:
    """
    Return columns, one beside the other, each with its name and its number (Markup).

    label
        What they are of (str).
    values
        The name and the number of each (sequence of tuple).
    """
    most = max((count for _name, count in values), default=0)
    drawn = [_column(at, name, count, TALL * count / most if most else 0) for at, (name, count) in enumerate(values)]
    said = ", ".join(f"{name} {count}" for name, count in values) or "nothing to show"
    width, height = STEP * max(1, len(values)), TALL + 2 * LETTER
    return Markup(
        '<svg role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}" height="{}" class="columns">{}</svg>'
    ).format(f"{label}: {said}", width, height, width, height, Markup("").join(drawn))


def _column(at: int, name: str, count: int, tall: float) -> Markup:
    left, top = at * STEP, TALL - tall + LETTER
    return Markup(
        '<rect class="c-info" x="{}" y="{:.1f}" width="{}" height="{:.1f}"></rect>'
        '<text x="{}" y="{:.1f}">{}</text><text x="{}" y="{}">{}</text>'
    ).format(*(left + 6, top, STEP - 12, tall), *(left + STEP / 2, top - 4, count), *(left + STEP / 2, TALL + 28, name))
