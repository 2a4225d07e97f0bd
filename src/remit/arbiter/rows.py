"""A problem as the kernels see it: checked once, then plain arrays."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from remit.arbiter.errors import ArbiterError
from remit.arbiter.kernel import bare, entry, kernel
from remit.terms.columns import Column
from remit.terms.encoding import MICRO
from remit.terms.problems import Calls, Candidates, Limits, Resources, Usage

Ints = NDArray[np.int64]
Shorts = NDArray[np.int32]
Flags = NDArray[np.bool_]
Table = NDArray[np.int64]

LARGEST_VALUE = 4_000_000 * MICRO
"""No single value may exceed this, so that a price times any amount, and every sum, stays exact in int64."""
LARGEST_SUM = 1 << 62
MOST_CALLS = 127


class Use(NamedTuple):
    """Row i uses `amount[j]` of `resource[j]` for j in `start[i]:start[i + 1]`."""

    start: Ints
    resource: Shorts
    amount: Ints


class Rows(NamedTuple):
    """Candidates, kinds of call and limits of all HCPs; the columns are those of `remit.terms.problems`."""

    start: Ints
    value: Ints
    channel: Shorts
    product: Shorts
    call: Shorts
    exclusion: Shorts
    mandatory: Flags
    use: Use
    call_start: Ints
    call_channel: Shorts
    call_most: Shorts
    call_use: Use
    total: Shorts
    limit: Shorts
    channels: int
    positions: Ints


class Scarce(NamedTuple):
    """Capacities and floors in micro-units; no price beyond `highest` (micro-units of value per unit) could matter or be multiplied exactly."""

    capacity: Ints
    floor: Ints
    highest: Ints


def read(candidates: Candidates, calls: Calls, limits: Limits, resources: int) -> Rows:
    """The checked arrays of a problem over `resources` resources. Raises `ArbiterError` with all faults found."""
    reader = _Reader()
    rows = reader.rows(candidates, calls, limits)
    reader.raise_faults()
    reader.ranges(rows, resources)
    reader.raise_faults()
    return rows


def read_agents(agent: Column, count: int, agents: int) -> Shorts:
    """The checked column of agents. Raises `ArbiterError`."""
    reader = _Reader()
    column = reader.column("candidates.agent", agent, np.int32, count)
    reader.within("candidates.agent", column, 0, agents)
    reader.raise_faults()
    return column


def read_amounts(name: str, column: Column, count: int) -> Ints:
    """A checked column of `count` amounts, 0 or more. Raises `ArbiterError`."""
    reader = _Reader()
    amounts = reader.column(name, column, np.int64, count)
    reader.within(name, amounts, 0, LARGEST_SUM)
    reader.raise_faults()
    return amounts


def read_scarce(resources: Resources, rows: Rows) -> Scarce:
    """The checked capacities and floors. Raises `ArbiterError` with all faults found."""
    reader = _Reader()
    count = len(resources.names)
    capacity = reader.column("resources.capacity", resources.capacity, np.int64, count)
    floor = reader.column("resources.floor", resources.floor, np.int64, count)
    reader.within("resources.capacity", capacity, 0, LARGEST_SUM)
    reader.within("resources.floor", floor, 0, LARGEST_SUM)
    reader.raise_faults()
    return Scarce(capacity, floor, highest_prices(rows, count))


def highest_prices(rows: Rows, resources: int) -> Ints:
    """Per resource: the price beyond which no HCP would use it, as far as price x amount stays exact in int64."""
    wanted, largest = np.zeros(resources), np.ones(resources)
    _wanted(rows, wanted, largest)
    return np.minimum(2.0 * wanted + 2.0, float(LARGEST_SUM) / largest / 2).astype(np.int64)


class _Reader:
    """Collects the faults of one input, so that a user mends them in one go."""

    def __init__(self) -> None:
        self._faults: list[str] = []

    def raise_faults(self) -> None:
        if self._faults:
            raise ArbiterError("the problem is malformed", where="arbiter", do="Mend the columns named above.", faults=self._faults)

    def rows(self, candidates: Candidates, calls: Calls, limits: Limits) -> Rows:
        hcps = len(candidates.start) - 1
        start = self._start("candidates.start", candidates.start, hcps, len(candidates.value))
        count = len(candidates.value)
        call_start = self._start("calls.start", calls.start, hcps, len(calls.channel))
        kinds = len(calls.channel)

        def one(name: str, column: Column, kind: Any = np.int32) -> NDArray[Any]:
            return self.column(f"candidates.{name}", column, kind, count)

        return Rows(
            start=start,
            value=one("value", candidates.value, np.int64),
            channel=one("channel", candidates.channel),
            product=one("product", candidates.product),
            call=one("call", candidates.call),
            exclusion=one("exclusion", candidates.exclusion),
            mandatory=one("mandatory", candidates.mandatory, np.bool_),
            use=self._use("candidates.usage", candidates.usage, count),
            call_start=call_start,
            call_channel=self.column("calls.channel", calls.channel, np.int32, kinds),
            call_most=self.column("calls.most", calls.most, np.int32, kinds),
            call_use=self._use("calls.usage", calls.usage, kinds),
            total=self.column("limits.total", limits.total, np.int32, hcps),
            limit=self.column("limits.channel", limits.channel, np.int32, hcps * limits.channels),
            channels=limits.channels,
            positions=read_only(np.array(limits.positions, dtype=np.int64)),
        )

    def ranges(self, rows: Rows, resources: int) -> None:
        """Faults of content, once all columns have their lengths."""
        self.within("candidates.value", rows.value, -LARGEST_VALUE, LARGEST_VALUE + 1)
        self.within("candidates.channel", rows.channel, 0, rows.channels)
        self.within("candidates.exclusion", rows.exclusion, -1, None)
        self.within("calls.channel", rows.call_channel, 0, rows.channels)
        self.within("calls.most", rows.call_most, 0, MOST_CALLS + 1)
        self.within("limits.total", rows.total, 0, None)
        self.within("limits.channel", rows.limit, 0, None)
        for name, use in (("candidates.usage", rows.use), ("calls.usage", rows.call_use)):
            self.within(f"{name}.resource", use.resource, 0, resources)
            self.within(f"{name}.amount", use.amount, 0, LARGEST_SUM)
            if float(np.sum(use.amount, dtype=np.float64)) >= LARGEST_SUM / MOST_CALLS:
                self._faults.append(f"{name}.amount: the sum is beyond exact int64 arithmetic; the largest is at row {int(np.argmax(use.amount))}")
        if float(np.abs(rows.value).sum(dtype=np.float64)) >= LARGEST_SUM:
            row = int(np.argmax(np.abs(rows.value)))
            self._faults.append(f"candidates.value: the sum is beyond exact int64 arithmetic; the largest, `{rows.value[row]}`, is at row {row}")
        positions = rows.positions
        if not len(positions) or positions[0] > MICRO or positions[-1] < 0 or np.any(np.diff(positions) > 0):
            self._faults.append("limits.positions: must fall, or stay, from at most 1000000 to at least 0, and hold at least one")
        if not self._faults and (row := int(_stray_detail(rows))) >= 0:
            self._faults.append(f"candidates.call: row {row} names the call `{rows.call[row]}`, which is not a call of its HCP")

    def column(self, name: str, column: Column, kind: Any, count: int) -> NDArray[Any]:
        array = np.asarray(column)
        expected = "b" if kind is np.bool_ else "iu"
        if array.ndim != 1 or (array.dtype.kind not in expected and len(array)):
            wanted = "booleans" if kind is np.bool_ else "integers"
            self._faults.append(f"{name}: must be one column of {wanted} without nulls, is `{array.dtype}` in {array.ndim} dimensions")
            return read_only(np.zeros(max(count, 0), dtype=kind))
        if len(array) != count:
            self._faults.append(f"{name}: has {len(array)} rows, must have {count}")
            return read_only(np.zeros(max(count, 0), dtype=kind))
        if kind is not np.bool_ and array.dtype != kind and len(array):
            span = np.iinfo(kind)
            self.within(name, array, int(span.min), int(span.max) + 1)
        return read_only(np.ascontiguousarray(array, dtype=kind))

    def within(self, name: str, array: NDArray[Any], low: int, below: int | None) -> None:
        if not len(array):
            return
        least, most = int(array.min()), int(array.max())
        if least < low:
            self._faults.append(f"{name}: `{least}` at row {int(array.argmin())} is below {low}")
        if below is not None and most >= below:
            self._faults.append(f"{name}: `{most}` at row {int(array.argmax())} is above {below - 1}")

    def _start(self, name: str, column: Column, count: int, rows: int) -> Ints:
        start = self.column(name, column, np.int64, max(count, 0) + 1)
        if int(start[0]) != 0 or int(start[-1]) != rows or np.any(np.diff(start) < 0):
            self._faults.append(f"{name}: must rise, or stay, from 0 to {rows}")
        return start

    def _use(self, name: str, usage: Usage, count: int) -> Use:
        entries = len(usage.resource)
        return Use(
            self._start(f"{name}.start", usage.start, count, entries),
            self.column(f"{name}.resource", usage.resource, np.int32, entries),
            self.column(f"{name}.amount", usage.amount, np.int64, entries),
        )


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that is read-only whatever the array was, so that kernels are compiled for one kind of array."""
    view = array.view()
    view.flags.writeable = False
    return view


@kernel
def _bare_use(use: Use) -> Use:
    return Use(bare(use.start), bare(use.resource), bare(use.amount))


@kernel
def bare_rows(rows: Rows) -> Rows:
    """The same rows as `bare` arrays."""
    return Rows(
        bare(rows.start),
        bare(rows.value),
        bare(rows.channel),
        bare(rows.product),
        bare(rows.call),
        bare(rows.exclusion),
        bare(rows.mandatory),
        _bare_use(rows.use),
        bare(rows.call_start),
        bare(rows.call_channel),
        bare(rows.call_most),
        _bare_use(rows.call_use),
        bare(rows.total),
        bare(rows.limit),
        rows.channels,
        bare(rows.positions),
    )


@entry
def _stray_detail(rows: Rows) -> int:
    for hcp in range(len(rows.start) - 1):
        for row in range(rows.start[hcp], rows.start[hcp + 1]):
            call = rows.call[row]
            if call < -1 or (call >= 0 and not rows.call_start[hcp] <= call < rows.call_start[hcp + 1]):
                return row
    return -1


@entry
def _wanted(owned: Rows, wanted: NDArray[np.float64], largest: NDArray[np.float64]) -> None:
    rows = bare_rows(owned)
    for hcp in range(len(rows.start) - 1):
        worth = 0.0
        for row in range(rows.start[hcp], rows.start[hcp + 1]):
            worth += max(rows.value[row], 0)
        for row in range(rows.start[hcp], rows.start[hcp + 1]):
            _want(rows.use, row, worth, wanted, largest)
        for row in range(rows.call_start[hcp], rows.call_start[hcp + 1]):
            _want(rows.call_use, row, worth, wanted, largest)


@kernel
def _want(use: Use, row: int, worth: float, wanted: NDArray[np.float64], largest: NDArray[np.float64]) -> None:
    for j in range(use.start[row], use.start[row + 1]):
        amount = use.amount[j]
        if amount > 0:
            r = use.resource[j]
            wanted[r] = max(wanted[r], worth * MICRO / amount)
            largest[r] = max(largest[r], amount)
