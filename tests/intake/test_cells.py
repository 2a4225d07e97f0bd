"""Reading cells."""

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.intake.cells import read_flags, read_instants, read_millionths, read_periods, read_wholes
from remit.terms.errors import ClockError
from remit.terms.instants import parse_instant, period_bounds

MOMENTS = st.datetimes().map(lambda moment: moment.isoformat()) | st.sampled_from(
    [
        "2026-01-05",
        "2026-01-05T06:00:00Z",
        "2026-01-05 06:00",
        "2026-01-05T06:00:00.5Z",
        "2026-01-05T06:00:00+02:00",
        "20260105",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "soon",
    ]
)
TEXTS = st.text(alphabet="0123456789-:TZ.+ W", max_size=25)


def parsed(cell):
    try:
        return parse_instant(cell)
    except ClockError:
        return None


@given(st.lists(MOMENTS | MOMENTS.map(lambda text: text + "Z") | TEXTS | st.none(), max_size=20))
def test_instants_are_read_as_the_terms_read_them(cells):
    """The fast path and `parse_instant` agree on every text, readable or not."""
    assert read_instants(pl.Series(cells, dtype=pl.String)).to_list() == [None if cell is None else parsed(cell) for cell in cells]


@given(st.lists(st.decimals(min_value=-(10**6), max_value=10**6, places=6), min_size=1))
def test_decimals_are_exact_to_the_millionth(numbers):
    assert read_millionths(pl.Series([f"{number:f}" for number in numbers])).to_list() == [int(number * 1_000_000) for number in numbers]


@pytest.mark.parametrize("cell", ["1,5", "1e3", "1.1234567", "", "nan", "1.", ".5", "1 000"])
def test_what_is_not_a_plain_decimal_is_not_read(cell):
    assert read_millionths(pl.Series([cell])).to_list() == [None]


@given(st.integers(-(2**62), 2**62))
def test_whole_numbers_may_be_written_as_floats(number):
    assert read_wholes(pl.Series([str(number), f"{number}.0", f"{number}.00"])).to_list() == [number] * 3


@pytest.mark.parametrize("cell", ["688.5", "1e3", "12a", "--1", "9999999999999999999", "1."])
def test_what_is_not_whole_is_not_read(cell):
    assert read_wholes(pl.Series([cell])).to_list() == [None]


def test_a_decimal_keeps_its_sign_and_its_places():
    assert read_millionths(pl.Series(["-0.000001", "12", "0.5"])).to_list() == [-1, 12_000_000, int(Decimal("0.5") * 1_000_000)]


def test_flags_are_true_and_false_in_any_case():
    assert read_flags(pl.Series(["true", "False", "TRUE", "1", "yes", None])).to_list() == [True, False, True, None, None, None]


@given(st.lists(st.sampled_from(["2026-W01", "2026-01", "2025-12", "2025-W60", "x", None])), st.sampled_from(["UTC", "America/New_York"]))
def test_periods_have_the_bounds_that_the_terms_give_them(names, zone):
    good = {"2026-W01", "2026-01", "2025-12"}
    assert read_periods(pl.Series(names, dtype=pl.String), zone).rows() == [period_bounds(name, zone) if name in good else (None, None) for name in names]
