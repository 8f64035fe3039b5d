"""Names beside the points of a figure, placed so that they can be read."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: In points: between a marker and its name, from a marker's middle to its edge, and the shortest line to a name.
_GAP, _MARKER, _TIE = 3.0, 5.0, 9.0
#: Of the lines that tie a name to its point.
_COLOUR = "#8c8c8c"
#: The width of a point without a name, in points.
_DOT = 4.0
#: What covering a line or such a point costs, relative to covering a point or a name.
_LINE = 0.3


class Point(NamedTuple):
    """A point in data units, its error bar's length to each side, and what it is called."""

    x: float
    y: float
    error: float
    name: str


_Box = tuple[float, float, float, float]  # left, low, right, high, in points of 1/72 inch


class _Clutter:
    """The things in the way of names: points, lines, the axes' edge and the names that have a place already."""

    def __init__(self, inside: _Box, points: Sequence[_Box], lines: Sequence[_Box]) -> None:
        self._inside = np.array([inside])
        self._boxes = np.array([*points, *lines])
        self._weights = np.array([1.0] * len(points) + [_LINE] * len(lines))

    def covered(self, box: _Box) -> float:
        """Returns the area that a name in ``box`` covers, by weight, and what sticks out of the axes twice."""
        left, low, right, high = box
        outside = (right - left) * (high - low) - _common_areas(box, self._inside)[0]
        return float(_common_areas(box, self._boxes) @ self._weights + 2 * outside)

    def add(self, box: _Box) -> None:
        """Notes that a name has taken this place."""
        self._boxes = np.vstack([self._boxes, box])
        self._weights = np.append(self._weights, 1.0)


def place_labels(
    axes: "Axes",
    points: Sequence[Point],
    lines: Sequence[Sequence[tuple[float, float]]] = (),
    nameless: Sequence[tuple[float, float]] = (),
) -> None:
    """Writes the name beside every point, where it covers no other name, point or error bar, nor, if it can, a line or
    a point without a name.

    One name after another takes the place that covers least among many around its point, near ones first; a name
    that had to go far is tied to its point by a thin line.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # names have to stay where they were put
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    unit = figure.dpi / 72
    left, low, right, high = (edge / unit for edge in axes.get_window_extent(renderer).extents)
    solid = [_extent_of_point(axes, point, unit) for point in points]
    faint = [box for line in lines for box in _boxes_along(axes, line, unit)]
    dots = [axes.transData.transform(point) / unit for point in nameless]
    faint += [_box_around(x, y, _DOT, _DOT) for x, y in dots]
    inside = left + _GAP, low + _GAP, right - _GAP, high - _GAP
    clutter = _Clutter(inside, solid, faint)
    for x, y, _, name in points:
        how: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "ha": "center", "va": "center"}
        text = axes.annotate(name, (x, y), (0, 0), zorder=4, **how)
        size = text.get_window_extent(renderer)
        width, height = size.width / unit, size.height / unit
        middle_x, middle_y = axes.transData.transform((x, y)) / unit
        costs = {
            place: clutter.covered(_box_around(middle_x + place[0], middle_y + place[1], width, height))
            + _distance(place, width, height) ** 2 / 8
            for place in _places(width, height)
        }
        place = min(costs, key=costs.__getitem__)
        text.set_position(place)
        clutter.add(_box_around(middle_x + place[0], middle_y + place[1], width, height))
        if _distance(place, width, height) > _TIE + _MARKER:
            line = {"arrowstyle": "-", "color": _COLOUR, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 4}
            end = _nearest_edge(place, width, height)
            axes.annotate("", (x, y), end, textcoords="offset points", arrowprops=line)


def _extent_of_point(axes: "Axes", point: Point, unit: float) -> _Box:
    left, low = axes.transData.transform((point.x, point.y - point.error)) / unit
    right, high = axes.transData.transform((point.x, point.y + point.error)) / unit
    return left - _MARKER, low - _MARKER, right + _MARKER, high + _MARKER


def _boxes_along(axes: "Axes", line: Sequence[tuple[float, float]], unit: float) -> Iterator[_Box]:
    """Yields small boxes along a line through ``line``, close enough that no name slips between them."""
    step = 4.0
    corners = [axes.transData.transform(point) / unit for point in line]
    for (x0, y0), (x1, y1) in pairwise(corners):
        count = max(1, int(math.hypot(x1 - x0, y1 - y0) / step))
        for i in range(count):
            yield _box_around(x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count, step, step)


def _box_around(x: float, y: float, width: float, height: float) -> _Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _places(width: float, height: float) -> list[tuple[float, float]]:
    """Returns offsets in points of a name's middle from its point: beside, above, below and at the corners, ever
    farther.
    """
    places = []
    for distance in (0, 4, 9, 15, 22, 30, 40, 52):
        x, y = _MARKER + _GAP + width / 2 + distance, _MARKER + _GAP / 2 + height / 2 + distance
        places += [(x, 0.0), (-x, 0.0), (0.0, y), (0.0, -y)]
        for part in (0.35, 0.7, 1.0):
            places += [(right * part * x, up * y) for up in (1, -1) for right in (1, -1)]
            places += [(right * x, up * part * y) for up in (1, -1) for right in (1, -1)]
    return places


def _common_areas(box: _Box, boxes: Any) -> Any:
    """Returns the area that ``box`` has in common with each of ``boxes``, an array of lines (left, low, right,
    high).
    """
    left, low, right, high = box
    width = np.minimum(right, boxes[:, 2]) - np.maximum(left, boxes[:, 0])
    height = np.minimum(high, boxes[:, 3]) - np.maximum(low, boxes[:, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def _nearest_edge(place: tuple[float, float], width: float, height: float) -> tuple[float, float]:
    """Returns the part of a name that is nearest to its point, as an offset from the point."""
    x, y = place
    return min(max(0.0, x - width / 2), x + width / 2), min(max(0.0, y - height / 2), y + height / 2)


def _distance(place: tuple[float, float], width: float, height: float) -> float:
    return math.hypot(*_nearest_edge(place, width, height))
