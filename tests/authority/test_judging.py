"""Judging frames: what columns may hold, what is refused, and tables of any width."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from remit.authority import AuthorityError, Table, authorize, judge, load_table
from remit.terms.facts import FACTS
from remit.terms.people import Person
from remit.terms.verdicts import Ruling

PEOPLE = {"head": Person("head", frozenset({"compliance"}))}


def table_of(*whens: tuple[str, str]) -> Table:
    confirm = "\n    roles: [compliance]\n    deadline: 1 day\n    on_timeout: refuse"
    rows = [
        f"  - id: row-{number}\n    when: {when}\n    verdict: {verdict}\n    owner: head\n    reason: r{confirm if verdict == 'confirm' else ''}\n"
        for number, (verdict, when) in enumerate(whens)
    ]
    return load_table(f"version: 1\nname: t\nowner: head\nrows:{' []' if not rows else ''}\n{''.join(rows)}", PEOPLE, FACTS, 0)


SMALL = table_of(("autonomous", "channel = 'call' AND NOT pdrp"), ("confirm", "value > 10"), ("forbidden", "touch > 2"))
FRAME = pl.DataFrame({"channel": ["call", "call", "email", None], "pdrp": [False, False, False, False], "value": [1, 10_000_001, 1, 1], "touch": [1, 1, 1, 1]})


def rulings(frame: pl.DataFrame | pl.LazyFrame, table: Table = SMALL) -> list[str]:
    return judge(frame, table).columns["ruling"].to_list()


def test_a_judgement_has_a_ruling_and_a_verdict_number_for_each_row_in_order() -> None:
    judgement = judge(FRAME, SMALL)
    assert judgement.columns.schema == {"ruling": pl.Enum(Ruling), "verdict": pl.Int32}
    assert judgement.columns["ruling"].to_list() == ["autonomous", "confirm", "forbidden", "forbidden"]
    assert [judgement.verdicts[code].rules for code in judgement.columns["verdict"]] == [("row-0",), ("row-1",), (), ()]


def test_a_lazy_frame_is_judged_like_a_frame() -> None:
    assert rulings(FRAME.lazy()) == rulings(FRAME)


@pytest.mark.parametrize("kind", [pl.Categorical(), pl.Enum(["call", "email"])])
def test_text_may_be_held_as_categories(kind: pl.DataType) -> None:
    assert rulings(FRAME.with_columns(pl.col("channel").cast(kind))) == rulings(FRAME)


@pytest.mark.parametrize("kind", [pl.Int8(), pl.UInt16(), pl.UInt32()])
def test_integers_may_be_held_in_any_width(kind: pl.DataType) -> None:
    assert rulings(FRAME.with_columns(pl.col("touch").cast(kind))) == rulings(FRAME)


def test_a_column_of_nulls_alone_is_unknown_throughout() -> None:
    assert rulings(FRAME.with_columns(value=None)) == ["confirm"] * 4
    assert rulings(FRAME.with_columns(touch=None)) == ["forbidden"] * 4


def test_columns_that_no_row_speaks_of_are_ignored() -> None:
    assert rulings(FRAME.with_columns(consent=1.5, junk=pl.lit([1]))) == rulings(FRAME)


def test_an_empty_frame_has_an_empty_judgement() -> None:
    judgement = judge(FRAME.clear(), SMALL)
    assert (judgement.columns.height, judgement.verdicts) == (0, ())
    assert judgement.columns.schema == {"ruling": pl.Enum(Ruling), "verdict": pl.Int32}


@pytest.mark.parametrize(("whens", "ruling"), [((), "forbidden"), ((("autonomous", "TRUE"),), "autonomous"), ((("confirm", "TRUE AND NOT FALSE"),), "confirm")])
def test_a_table_that_speaks_of_no_fact_judges_every_row(whens: tuple[tuple[str, str], ...], ruling: str) -> None:
    assert rulings(FRAME, table_of(*whens)) == [ruling] * 4
    assert authorize({}, table_of(*whens)).ruling == ruling


@pytest.mark.parametrize("rows", [63, 64, 65, 128, 250])
def test_a_table_may_have_any_number_of_rows(rows: int) -> None:
    table = table_of(*(("forbidden" if number % 3 else "autonomous", f"touch = {number}") for number in range(rows)))
    frame = pl.DataFrame({"touch": list(range(rows + 1))})
    judgement = judge(frame, table)
    given = [judgement.verdicts[code] for code in judgement.columns["verdict"]]
    assert given == [authorize({"touch": number}, table) for number in range(rows + 1)]
    assert [verdict.rules for verdict in given] == [*((f"row-{number}",) for number in range(rows)), ()]


def test_a_proposal_that_meets_rows_in_several_words_carries_all_of_them() -> None:
    table = table_of(*(("forbidden", f"touch >= {number}") for number in range(130)))
    (verdict,) = judge(pl.DataFrame({"touch": [200]}), table).verdicts
    assert verdict.rules == tuple(f"row-{number}" for number in range(130))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"value": 1.5}, "the column `value` is Float64; it is held as an int64 number of millionths"),
        ({"touch": True}, "the column `touch` is Boolean; it is held as an int64"),
        ({"touch": pl.lit(1, pl.UInt64)}, "the column `touch` is UInt64; it is held as an int64"),
        ({"channel": 1}, "the column `channel` is Int32; it is held as text"),
        ({"pdrp": 1}, "the column `pdrp` is Int32; it is held as true or false"),
        ({"pdrp": "false"}, "the column `pdrp` is String; it is held as true or false"),
    ],
)
def test_a_column_held_otherwise_than_its_kind_is_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(AuthorityError, match=word):
        judge(FRAME.with_columns(**{name: value if isinstance(value, pl.Expr) else pl.lit(value) for name, value in change.items()}), SMALL)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"value": 1.5}, "`value` is `1.5`; it is held as an int64 number of millionths"),
        ({"touch": True}, "`touch` is `True`; it is held as an int64"),
        ({"channel": 1}, "`channel` is `1`; it is held as text"),
        ({"pdrp": 1}, "`pdrp` is `1`; it is held as true or false"),
    ],
)
def test_a_fact_held_otherwise_than_its_kind_is_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(AuthorityError, match=word):
        authorize({**FRAME.row(0, named=True), **change}, SMALL)


def test_every_missing_fact_is_named_at_once() -> None:
    with pytest.raises(AuthorityError) as of_frame:
        judge(FRAME.drop("value", "touch"), SMALL)
    with pytest.raises(AuthorityError) as of_one:
        authorize({"channel": "call", "pdrp": None}, SMALL)
    assert [fault.split("`")[1] for fault in of_frame.value.faults] == [fault.split("`")[1] for fault in of_one.value.faults] == ["touch", "value"]


def test_a_member_of_a_text_enumeration_counts_as_its_text() -> None:
    table = table_of(("autonomous", "purpose IN ('confirm') AND purpose = 'confirm'"))
    assert authorize({"purpose": Ruling.CONFIRM}, table).ruling is Ruling.AUTONOMOUS


_AGAIN = """
import polars as pl
from tests.authority.test_judging import judge, table_of
table = table_of(("forbidden", "channel IN ('a', 'b', 'c')"), ("forbidden", "touch > 3"), ("autonomous", "TRUE"), ("confirm", "touch > 1"))
frame = pl.DataFrame({"channel": ["a", "x", "y", None] * 500, "touch": [1, 2, 3, 4, None] * 400})
print(table, judge(frame, table).verdicts, judge(frame, table).columns.to_dict(as_series=False))
"""


def _said(**settings: str) -> str:
    root = Path(__file__).parents[2]
    return subprocess.run([sys.executable, "-c", _AGAIN], env=os.environ | settings, cwd=root, capture_output=True, text=True, check=True).stdout


def test_a_judgement_is_the_same_in_any_process_with_any_hash_seed_and_thread_count() -> None:
    assert _said(PYTHONHASHSEED="1", POLARS_MAX_THREADS="1") == _said(PYTHONHASHSEED="2", POLARS_MAX_THREADS="2")
