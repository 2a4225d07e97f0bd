"""Features as numbers of one scale, for learners that add and measure distances: standardised, unknown ones at the mean with a mark, names as marks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from remit.models.uplift.algebra import Floats

_FAR = 4.0
"""Standard deviations at which a value is cut off: one absurd balance must not tilt a line."""

_MOST_LEVELS = 50


@dataclass(frozen=True, slots=True)
class Encoder:
    """`numbers[i]` is (place, mean, deviation) of a number, `marks` (place, value) of a name that gets a column of its own, value None for unknown."""

    numbers: tuple[tuple[int, float, float], ...]
    marks: tuple[tuple[int, float | None], ...]

    @property
    def width(self) -> int:
        return len(self.numbers) + len(self.marks)

    def encode(self, matrix: Floats) -> Floats:
        """A row per row of `matrix`, a column for each number and mark; values the training never had carry no mark."""
        answer = np.empty((len(matrix), self.width))
        if self.numbers:
            places, means, deviations = (list(each) for each in zip(*self.numbers, strict=True))
            scaled = (matrix[:, places] - np.array(means)) / np.array(deviations)
            scaled[np.isnan(scaled)] = 0.0
            answer[:, : len(self.numbers)] = np.clip(scaled, -_FAR, _FAR)
        for at, (place, value) in enumerate(self.marks, start=len(self.numbers)):
            answer[:, at] = np.isnan(matrix[:, place]) if value is None else matrix[:, place] == value
        return answer

    def dump(self) -> dict[str, Any]:
        """As plain values, numbers as text."""
        return {
            "numbers": [[place, repr(mean), repr(deviation)] for place, mean, deviation in self.numbers],
            "marks": [[place, None if value is None else repr(value)] for place, value in self.marks],
        }


def load_encoder(body: Mapping[str, Any]) -> Encoder:
    """What `dump` wrote."""
    numbers = tuple((place, float(mean), float(deviation)) for place, mean, deviation in body["numbers"])
    return Encoder(numbers, tuple((place, None if value is None else float(value)) for place, value in body["marks"]))


def learn_encoder(matrix: Floats, categorical: tuple[int, ...]) -> Encoder:
    """The encoder of these rows: columns that do not vary are left out; of a name's values, the `50` most frequent, less the first."""
    numbers: list[tuple[int, float, float]] = []
    marks: list[tuple[int, float | None]] = []
    for place in range(matrix.shape[1]):
        column = matrix[:, place]
        known = column[~np.isnan(column)]
        if 0 < len(known) < len(column):
            marks.append((place, None))
        if place in categorical:
            values, counts = np.unique(known, return_counts=True)
            kept = np.sort(values[np.argsort(-counts, kind="stable")[:_MOST_LEVELS]])
            marks += [(place, float(value)) for value in kept[1:]]
        elif len(known) and known.min() < known.max():
            deviation = float(known.std())
            numbers += [(place, float(known.mean()), deviation)] if deviation > 0 else []
    return Encoder(tuple(numbers), tuple(marks))
