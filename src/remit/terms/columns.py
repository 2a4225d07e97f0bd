"""Columns that kernels take and give: anything an Arrow-compatible library can view as an array."""

from typing import Any, Protocol


class Column(Protocol):
    """A one-dimensional column, viewed without copying by `numpy.asarray`."""

    def __len__(self) -> int: ...

    def __array__(self) -> Any: ...
