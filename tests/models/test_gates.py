"""The gate: a model that knows the future, or lacks any evidence or signature, does not get through; one that has all does."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.models import gates, lead_score
from remit.models.bias import Interval, audit
from remit.models.evidence import held_out
from remit.models.gates import Evidence, Required, SignOff, checks, missing_roles, stage
from remit.models.inputs import ADMITTED
from remit.models.leaks import Leak, leaks
from remit.models.response_evidence import HeldOutTouches
from remit.terms.encoding import canonical
from tests.models.learning import CATALOGUE, learning_frame

ROLES = ("data-steward", "medical")
SIGNED = (SignOff("steward", "data-steward", 1), SignOff("doctor", "medical", 2))
COLUMNS = [column.name for column in CATALOGUE.columns if column.labels <= ADMITTED]
PROVENANCE = dict.fromkeys(gates.PROVENANCE, "x") | {"segments": ["a", "b"], "seed": 0}


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return learning_frame(hcps=400, instants=12)


def evidence_of(learned: pl.DataFrame, true: pl.DataFrame, columns: list[str]) -> Evidence:
    """All evidence of a lead score trained on the earlier two thirds of `learned`; `true` are the rows as they come out when built again."""
    last = pl.col("instant") < 8
    model = lead_score.train(learned.filter(last), CATALOGUE, seed=1, threads=1)
    later = learned.filter(~last)
    judged = later.with_columns(
        score=model.predict(later, threads=1)["lead_score"], baseline=pl.col("rx_lag_2").fill_null(0.0), rural=pl.col("hcp_id").str.ends_with("1")
    )
    people = judged.with_columns(selected=pl.col("hcp_id").hash(1) % 3 == 0, value=pl.lit(1_000_000)).unique("hcp_id")
    metrics, found = held_out(judged), leaks(learned, true.filter(pl.col("instant") == 5), columns)
    return Evidence(metrics, found, audit(people, ["rural"]), 1.0, (), PROVENANCE)


@pytest.fixture(scope="module")
def sound(rows: pl.DataFrame) -> Evidence:
    return evidence_of(rows, rows, COLUMNS)


def failed(evidence: Evidence) -> list[str]:
    return [check.name for check in checks(evidence, Required())]


def failing(evidence: Evidence) -> list[str]:
    return [check.name for check in checks(evidence, Required()) if not check.passed]


def test_a_sound_model_with_two_signatures_is_in_production(sound: Evidence) -> None:
    assert failing(sound) == []
    assert stage(checks(sound, Required()), SIGNED, ROLES) == "production"


def planted(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    """The rows with one feature that has seen the outcome: whole, blurred, as a flag, or as a text."""
    noise = np.random.default_rng(1).normal(0, 2, rows.height)
    leaking = {
        "whole": pl.col("outcome"),
        "blurred": pl.col("outcome") + pl.Series(noise),
        "flag": (pl.col("outcome") > pl.col("outcome").median()).cast(pl.Float64),
    }
    if kind == "text":
        return rows.with_columns(formulary_tier=pl.when(pl.col("outcome") > pl.col("outcome").median()).then(pl.lit("covered")).otherwise(pl.lit("preferred")))
    return rows.with_columns(practice_size=leaking[kind])


@pytest.mark.parametrize("kind", ["whole", "blurred", "flag", "text"])
def test_a_planted_feature_that_knows_the_future_is_named_and_the_model_refused(rows: pl.DataFrame, kind: str) -> None:
    """It does not come out again from what had been received, and sees ahead; either alone refuses the model, whoever signed."""
    name = "formulary_tier" if kind == "text" else "practice_size"
    bad = planted(rows, kind)
    evidence = evidence_of(bad, rows, COLUMNS)
    found = [leak for leak in evidence.leaks or () if leak.found]
    assert [leak.column for leak in found] == [name]
    assert found[0].foresight is not None
    assert found[0].foresight > 0.1
    assert found[0].differs
    assert failing(evidence) == ["no future"]
    assert stage(checks(evidence, Required()), SIGNED, ROLES) == "development"


def test_a_leak_that_comes_out_again_the_same_is_still_found_by_what_it_sees(rows: pl.DataFrame) -> None:
    """A vendor who back-dates rows leaks into what is built again too."""
    bad = planted(rows, "blurred")
    found = leaks(bad, bad.filter(pl.col("instant") == 5), COLUMNS)
    assert [(leak.column, leak.differs) for leak in found if leak.found] == [("practice_size", 0.0)]


def test_a_leak_that_sees_little_is_still_found_by_not_coming_out_again(rows: pl.DataFrame) -> None:
    slight = rows.with_columns(practice_size=pl.col("practice_size") + (pl.col("outcome") > 12).cast(pl.Float64) * 1e-3)
    (found,) = [leak for leak in leaks(slight, rows.filter(pl.col("instant") == 5), COLUMNS) if leak.found]
    assert found.column == "practice_size"
    assert 0 < (found.differs or 0) < 1


def test_what_a_leaking_column_gains_is_gone_when_it_is_built_again(rows: pl.DataFrame) -> None:
    bad = planted(rows, "whole")
    found = next(leak for leak in leaks(bad, rows, COLUMNS) if leak.column == "practice_size")
    assert found.foresight is not None
    assert found.foresight_rebuilt is not None
    assert found.foresight > 0.5
    assert abs(found.foresight_rebuilt) < 0.02


def test_features_of_physicians_who_grow_each_at_their_own_pace_are_not_taken_for_leaks() -> None:
    """In a launch each physician's own history tells much of the coming period; it tells as much of the one before."""
    draw = np.random.default_rng(2)
    pace = draw.gamma(1.0, 1.0, 300)
    level = np.array([draw.poisson(pace * instant) for instant in range(20)], float)
    parts = [
        pl.DataFrame({"instant": [at] * 300, "hcp_id": [f"H{n:03}" for n in range(300)], "product": "alpha", "outcome": level[at], "newest": level[at - 3]})
        for at in range(5, 20)
    ]
    (leak,) = leaks(pl.concat(parts), None, ["newest"])
    assert leak.foresight is not None
    assert not leak.found


def test_too_few_rows_to_tell_of_the_future_do_not_pass(sound: Evidence) -> None:
    assert failing(replace(sound, leaks=(Leak("any", None, None, 0.0),))) == ["no future"]
    assert failing(replace(sound, leaks=(Leak("any", 0.0, None, None),))) == ["no future"]


@pytest.mark.parametrize(
    ("missing", "name"),
    [
        ("held_out", "held-out metrics"),
        ("leaks", "no future"),
        ("audit", "bias audit"),
        ("explained", "reasons"),
        ("unwatched", "drift can be watched"),
    ],
)
def test_missing_evidence_fails_its_check(sound: Evidence, missing: str, name: str) -> None:
    assert name in failing(replace(sound, **{missing: None}))


def test_each_part_of_provenance_must_be_there(sound: Evidence) -> None:
    for part in gates.PROVENANCE:
        less = {name: value for name, value in PROVENANCE.items() if name != part}
        assert failing(replace(sound, provenance=less)) == ["provenance"]


def test_a_column_that_cycles_were_served_otherwise_is_named_beyond_one_row_in_a_hundred(sound: Evidence, rows: pl.DataFrame) -> None:
    few, many = (leaks(rows, rows, COLUMNS, skewed={"rx_newest": share}) for share in (0.009, 0.011))
    assert failing(replace(sound, leaks=few)) == []
    assert failing(replace(sound, leaks=many)) == ["no future"]
    assert "`rx_newest` was something else in 1.1% of the rows" in next(
        check.found for check in checks(replace(sound, leaks=many), Required()) if not check.passed
    )


def test_a_leak_into_periods_longer_than_cycles_is_seen_where_instants_are_apart(rows: pl.DataFrame) -> None:
    """Four cycles of a month share its outcome: a leak that is blurred shows by months only, for between cycles of one month nothing changes."""
    month = pl.col("instant") // 4
    shared = rows.with_columns(pl.col("outcome").last().over("hcp_id", "product", month))
    bad = shared.with_columns(practice_size=pl.col("outcome") + pl.Series(np.random.default_rng(1).normal(0, 4, rows.height)))
    assert not [leak.column for leak in leaks(bad, bad, ["practice_size"]) if leak.found]
    assert [leak.column for leak in leaks(bad, bad, ["practice_size"], apart=[3, 7, 11]) if leak.found] == ["practice_size"]


def test_who_shares_an_outcome_is_one_unit_and_the_interval_is_that_of_as_many(rows: pl.DataFrame) -> None:
    """Ten copies of each physician under one unit say no more than the one: the same interval, of ten times the rows."""
    later = rows.filter(pl.col("instant") >= 8).with_columns(score=(pl.col("rx_mean_13") * 1e6).round().cast(pl.Int64), baseline="rx_lag_2", unit="hcp_id")
    copies = pl.concat([later.with_columns(pl.col("hcp_id") + f"/{number}") for number in range(10)])
    one, many, apart = held_out(later), held_out(copies), held_out(copies.drop("unit"))
    assert (many.hcps, many.units, many.rows) == (10 * one.hcps, one.units, 10 * one.rows)
    assert many.gain.low == pytest.approx(one.gain.low)
    assert many.calibration is not None
    assert one.calibration is not None
    assert many.calibration.high == pytest.approx(one.calibration.high)
    assert apart.gain.low > one.gain.low


@pytest.mark.parametrize(
    ("slope", "passes"),
    [
        ((1.0, 0.7, 1.3), True),
        ((0.7, 0.55, 0.85), True),
        ((1.5, 1.2, 1.8), True),
        ((0.7, 0.62, 0.78), False),  # surely too much
        ((0.5, 0.45, 0.55), False),  # twice too much
        ((1.5, 1.3, 1.7), False),  # surely too little
        ((1.0, 0.4, 1.6), False),  # may be more than twice too much
        ((1.2, 0.3, 2.1), False),  # says hardly anything
    ],
)
def test_a_slope_passes_that_is_surely_near_one_and_not_surely_off_it(sound: Evidence, slope: tuple[float, float, float], passes: bool) -> None:
    touches = HeldOutTouches(1000, 100, 100, 0, 1, Interval(0.01, 0.005, 0.015), Interval(*slope))
    assert failing(replace(sound, held_out=touches)) == ([] if passes else ["calibration"])


def test_a_response_whose_gain_may_be_nothing_does_not_pass_and_bricks_are_told(sound: Evidence) -> None:
    touches = HeldOutTouches(1000, 100, 20, 0, 1, Interval(0.01, 0.0, 0.02), Interval(1.0, 0.7, 1.3))
    assert failing(replace(sound, held_out=touches)) == ["held-out metrics"]
    assert "of 100 HCPs in 20 bricks" in checks(replace(sound, held_out=touches), Required())[0].found


def test_a_model_no_better_than_its_baseline_and_one_that_expects_twice_too_much_stay_in_development(sound: Evidence, rows: pl.DataFrame) -> None:
    later = rows.filter(pl.col("instant") >= 8).with_columns(score=(pl.col("rx_lag_2") * 1e6).round().cast(pl.Int64), baseline="rx_lag_2")
    assert "held-out metrics" in failing(replace(sound, held_out=held_out(later)))
    assert "calibration" in failing(replace(sound, held_out=held_out(later.with_columns(pl.col("score") * 2))))


def test_a_disparity_in_a_protected_column_refuses_and_one_in_another_is_only_told(sound: Evidence) -> None:
    people = pl.DataFrame({"rural": [True] * 200 + [False] * 300, "specialty": ["a"] * 200 + ["b"] * 300, "selected": [False] * 200 + [True] * 300, "value": 1})
    assert failing(replace(sound, audit=audit(people, ["rural"]))) == ["bias audit"]
    fair = people.with_columns(rural=pl.Series([True, False] * 250))
    assert audit(fair, ["rural", "specialty"]).disparities
    assert failing(replace(sound, audit=audit(fair, ["rural", "specialty"]))) == []


def test_an_audit_without_any_protected_column_does_not_pass(sound: Evidence) -> None:
    people = pl.DataFrame({"specialty": ["a"] * 200 + ["b"] * 300, "selected": [True] * 500, "value": 1})
    assert failing(replace(sound, audit=audit(people, ["rural", "specialty"]))) == ["bias audit"]


def test_one_person_in_two_roles_is_one_signature(sound: Evidence) -> None:
    both = (SignOff("steward", "data-steward", 1), SignOff("steward", "medical", 2))
    assert stage(checks(sound, Required()), both, ROLES) == "staging"
    assert len(missing_roles(both, ROLES)) == 1


def test_two_people_who_between_them_can_fill_both_roles_do() -> None:
    """Whichever order they signed in."""
    signed = (SignOff("a", "data-steward", 1), SignOff("a", "medical", 2), SignOff("b", "data-steward", 3))
    assert missing_roles(signed, ROLES) == ()


def test_one_required_role_is_not_enough_for_production(sound: Evidence) -> None:
    assert stage(checks(sound, Required()), SIGNED, ("medical",)) == "staging"


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([*ROLES, "other"])), max_size=6))
def test_production_always_has_two_different_people_in_the_two_roles(sound: Evidence, signed: list[tuple[str, str]]) -> None:
    offs = [SignOff(person, role, 0) for person, role in signed]
    could = any(one.person != two.person for one in offs if one.role == ROLES[0] for two in offs if two.role == ROLES[1])
    assert (stage(checks(sound, Required()), offs, ROLES) == "production") == could


def test_no_checks_at_all_is_development() -> None:
    assert stage((), SIGNED, ROLES) == "development"


def test_every_failed_check_says_what_to_do_and_evidence_has_a_canonical_form(sound: Evidence) -> None:
    nothing = Evidence(None, None, None, None, None)
    assert all(check.do and not check.passed for check in checks(nothing, Required()))
    for evidence in (sound, nothing):
        assert json.loads(canonical(gates.dump_evidence(evidence, checks(evidence, Required()))))["checks"]
