"""Bars for the charts of the billing and pricing pages, as rectangles of an SVG; the numbers stand in tables."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 720
HEIGHT = 200
# Of a column's width; the rest is the gap to the next.
_FILLED_PERCENT = 78


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle in a view box of WIDTH by HEIGHT; `series` counts from 1, bottom up."""

    series: int
    x: int
    y: int
    width: int
    height: int
    title: str


def stacked_bars(columns: Sequence[tuple[str, Sequence[int]]]) -> list[Bar]:
    """Return the bars of columns, each a label and its amounts by series; the tallest column has the full height.

    Any two bars are to each other as their amounts, but for rounding; one that is not zero has at least one unit.
    """
    tallest = max((sum(amounts) for _, amounts in columns), default=0)
    if tallest <= 0:
        return []
    bars: list[Bar] = []
    for index, (label, amounts) in enumerate(columns):
        x, next_x = WIDTH * index // len(columns), WIDTH * (index + 1) // len(columns)
        width = max(1, (next_x - x) * _FILLED_PERCENT // 100)
        bottom = HEIGHT
        for series, amount in enumerate(amounts, start=1):
            if amount <= 0:
                continue
            height = max(1, amount * HEIGHT // tallest)
            bottom -= height
            bars.append(Bar(series, x, max(0, bottom), width, height, label))
    return bars
