"""Features and their information labels."""

import pkgutil

import polars as pl
import pytest

import remit.features.definitions as folder
from remit.features import FEATURES, Feature, FeatureError, catalogue
from remit.terms.labels import Label
from tests.features.tables import CATALOGUE, LABELS


def test_no_definition_is_left_out() -> None:
    """Every file in `definitions/` adds its features to `FEATURES`, and nothing else does."""
    names = {module.name for module in pkgutil.iter_modules(folder.__path__)}
    found = [feature for name in names for feature in getattr(folder, name).FEATURES]
    assert sorted(feature.name for feature in found) == sorted(feature.name for feature in FEATURES)


def test_every_feature_has_a_label_and_words() -> None:
    """Each column of the built-in catalogue has at least one label and says what it is."""
    assert all(column.labels and column.says for column in CATALOGUE.columns)


def test_a_feature_carries_the_labels_of_all_its_inputs() -> None:
    """A feature of two columns has the labels of both, read off its expression."""
    mixed = Feature("mixed", "touches", "mixed", pl.col("age_days").min() + pl.col("position").max())
    column = catalogue([mixed], {"touches.occurred_at": Label.MEDICAL, "touches.position": Label.SUPPLY}, [])["mixed"]
    assert column.labels == {Label.MEDICAL, Label.SUPPLY}


@pytest.mark.parametrize("column", [column for column in CATALOGUE.columns if column.feature.table == "rx"], ids=lambda column: column.name)
def test_whatever_reads_prescriptions_is_labelled_pdrp(column: object) -> None:
    """Every feature of the prescription table has the label `pdrp`, also those that only ask whether a period was reported."""
    assert Label.PDRP in column.labels  # type: ignore[attr-defined]  # a Column; pytest hands over the parameter untyped


def test_features_without_a_label_do_not_load() -> None:
    """Every feature with an input that has no label is named, all at once."""
    labels = {name: label for name, label in LABELS.items() if name not in {"hcp.specialty", "formulary.tier"}}
    with pytest.raises(FeatureError) as caught:
        catalogue(FEATURES, labels, ["call"])
    assert caught.value.faults == ("`specialty` reads `hcp.specialty`", "`formulary_tier` reads `formulary.tier`")


def test_one_name_means_one_feature() -> None:
    """Two definitions of one name are refused."""
    with pytest.raises(FeatureError, match="`specialty` is defined twice"):
        catalogue([*FEATURES, next(feature for feature in FEATURES if feature.name == "specialty")], LABELS, [])


def test_a_feature_by_channel_has_a_column_and_words_per_channel() -> None:
    """Channels are sorted, and each column says its own."""
    columns = [column for column in CATALOGUE.columns if column.feature.name == "touches_recent"]
    assert [column.name for column in columns] == ["touches_recent_call", "touches_recent_email"]
    assert columns[1].says == "touches by email in the last 28 days"
