"""The feed contract, run on every feed."""

from pathlib import Path

import dataframely as dy
import polars as pl
import pytest

import remit.intake.feeds
from remit.intake import FEEDS, TABLES, IntakeError, Outcome, labels, read_quarantine
from remit.intake.contracts import Contract, reads
from remit.terms.labels import Label

FOLDER = Path(remit.intake.feeds.__file__).parent
UNREADABLE = {
    "instant": "not_an_instant",
    "whole": "not_a_whole_number",
    "millionths": "not_a_decimal",
    "flag": "not_true_or_false",
    "period": "not_a_week_or_month",
}


def rules_of(table):
    """Every rule that a line of the table can break, from its contract."""
    schema = table.contract.schema
    own = {name.replace("|check__", "|") for name in schema._validation_rules(with_cast=False) if not name.startswith("line|")}
    unreadable = {f"{name}|{UNREADABLE[kind]}" for name, kind in reads(schema).items() if kind in UNREADABLE}
    return own | unreadable | {"duplicate_line", "conflicting_lines", "received_at|in_the_future"}


def test_every_folder_is_a_registered_feed_and_every_feed_has_its_folder():
    assert {path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists()} == set(FEEDS)


@pytest.mark.parametrize("name", FEEDS)
def test_the_sample_loads_whole(name, desk):
    samples = [path for path in (FOLDER / name).glob("*.csv") if path.name != "bad.csv"]
    assert samples
    for path in [*samples, *(FOLDER / name).glob("*.toml")]:
        desk.write(f"{name}/{path.name}", path.read_bytes())
    reports = desk.load().files
    assert [report.outcome for report in reports] == [Outcome.LOADED] * len(samples)
    assert all(report.rows > 0 and not report.quarantined for report in reports)


@pytest.mark.parametrize("name", TABLES)
def test_each_bad_line_goes_to_quarantine_for_the_rule_that_it_breaks(name, new_desk):
    sample = (FOLDER / name / "sample.csv").read_text().splitlines()
    for bad in (FOLDER / name / "bad.csv").read_text().splitlines()[1:]:
        rule, cells = bad.split(",", 1)
        desk = new_desk()
        desk.write(f"{name}/file.csv", "\n".join([*sample, cells]))
        desk.load()
        found = read_quarantine(desk.warehouse).filter(pl.col("line") == len(sample) + 1)
        assert found["rules"].to_list() == [rule]
        kept = desk.read(name).filter(pl.col("line") == len(sample) + 1)
        assert kept.is_empty() or (name == "consent" and set(kept["status"]) == {"opt_out"})


@pytest.mark.parametrize("name", TABLES)
def test_every_rule_of_the_contract_has_a_bad_line(name):
    shown = {line.split(",", 1)[0] for line in (FOLDER / name / "bad.csv").read_text().splitlines()[1:]}
    assert rules_of(TABLES[name]) <= shown


@pytest.mark.parametrize("name", TABLES)
def test_every_column_has_an_information_label(name):
    assert set(labels(TABLES[name].contract.schema)) == {*TABLES[name].contract.columns, "line"}


def test_prescribing_and_questions_are_labelled_as_such():
    assert {name for name, label in labels(TABLES["rx"].contract.schema).items() if label is Label.PDRP} == {"trx", "nrx", "nbrx"}
    assert labels(TABLES["inquiries"].contract.schema)["topic"] is Label.INQUIRY


def test_a_column_without_a_label_does_not_load():
    class Unlabelled(dy.Schema):
        hcp_id = dy.String()

    with pytest.raises(IntakeError, match="`hcp_id` has no label"):
        Contract(Unlabelled, ("hcp_id",))
