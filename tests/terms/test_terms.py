"""The words: instants, canonical encoding, documents, the dictionary of facts."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.terms.documents import Document
from remit.terms.encoding import canonical, digest
from remit.terms.errors import ClockError, EncodingError, RemitError
from remit.terms.facts import FACTS
from remit.terms.instants import DAY, add_span, format_instant, parse_instant, period_bounds

INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = st.recursive(st.none() | st.booleans() | INT64 | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.dictionaries(st.text(), VALUES))
def test_the_order_of_keys_does_not_change_the_canonical_bytes(body: dict[str, object]) -> None:
    backward = dict(reversed(list(body.items())))
    assert canonical(body) == canonical(backward)


@pytest.mark.parametrize(("body", "path"), [({"a": 1.5}, "/a"), ({"a": [1, {"b": 2**63}]}, "/a/1/b"), ({"a": {"b": b"x"}}, "/a/b")])
def test_what_has_no_canonical_form_is_named_by_its_path(body: dict[str, object], path: str) -> None:
    with pytest.raises(EncodingError) as caught:
        canonical(body)
    assert caught.value.where == path


def test_the_canonical_form_is_as_it_was_in_the_first_release() -> None:
    body = {"b": [1, True, None, "é\n"], "a": {"z": -9_223_372_036_854_775_808}}
    assert canonical(body) == '{"a":{"z":-9223372036854775808},"b":[1,true,null,"é\\n"]}'.encode()
    assert digest(canonical(body)) == "4ee3ebcb04c2a3bb980fa37515e766c4ad5a492a02243228b384e521f6629292"


@given(st.integers(-(10**15), 10**16))
def test_an_instant_survives_its_text(instant: int) -> None:
    assert parse_instant(format_instant(instant)) == instant


def test_an_instant_without_an_offset_is_utc() -> None:
    assert parse_instant("2026-01-05T06:00:00") == parse_instant("2026-01-05T07:00:00+01:00")


@pytest.mark.parametrize(
    ("start", "span", "times", "end"),
    [
        ("2024-01-31T00:00:00Z", "1 month", 1, "2024-02-29T00:00:00Z"),
        ("2026-03-31T05:00:00Z", "1 month", -1, "2026-02-28T05:00:00Z"),
        ("2026-12-15T00:00:00Z", "1 month", 1, "2027-01-15T00:00:00Z"),
        ("2026-01-05T06:00:00Z", "1 week", 4, "2026-02-02T06:00:00Z"),
        ("2026-01-05T06:00:00Z", "36 hours", 1, "2026-01-06T18:00:00Z"),
    ],
)
def test_a_span_moves_an_instant(start: str, span: str, times: int, end: str) -> None:
    assert format_instant(add_span(parse_instant(start), span, times)) == end


def test_periods_are_half_open_and_follow_one_another_in_their_zone() -> None:
    start, end = period_bounds("2026-W13", "Europe/Berlin")
    assert end == period_bounds("2026-W14", "Europe/Berlin")[0]
    assert end - start == 7 * DAY - 3_600_000_000  # clocks go forward in this week


@pytest.mark.parametrize("text", ["2026-W54", "2026-13", "2026", "W01-2026", ""])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ClockError, match="is not a period"):
        period_bounds(text)


def test_a_document_tells_every_fault_and_every_key_nobody_reads() -> None:
    document = Document({"name": 3, "count": -1, "inner": {"share": "much"}, "stray": 1}, "x.toml")
    document.text("name")
    document.whole("count")
    document.table("inner").micro("share")
    document.flag("absent")
    document.close()
    with pytest.raises(RemitError) as caught:
        document.refuse(RemitError, "cannot be used")
    assert len(caught.value.faults) == 5
    assert {fault.split("`")[1] for fault in caught.value.faults} == {"name", "count", "inner.share", "absent", "stray"}


def test_a_decimal_is_read_exactly() -> None:
    assert Document({"share": 0.1}, "x").micro("share") == 100_000


def test_every_fact_says_what_it_is_and_carries_a_label() -> None:
    assert all(fact.name == name and fact.says and fact.labels for name, fact in FACTS.items())


def test_terms_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import pkgutil, importlib, remit.terms as t; [importlib.import_module(f'remit.terms.{m.name}') for m in pkgutil.iter_modules(t.__path__)];"
        "print(sorted({n.split('.')[0] for n in sys.modules} - set(sys.stdlib_module_names) - {'remit', '__main__'}))"
    )
    found = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, 'src'); {code}"], capture_output=True, text=True, check=True)
    assert [name for name in eval(found.stdout) if not name.startswith("_")] == []  # noqa: S307 - our own list
