"""A stored model is what was stored, or it is refused."""

import json

import pytest

from remit.models import ModelError, lead_score, model_digest, response
from remit.models.stored import FORMAT, seal
from remit.terms.encoding import canonical, digest


def test_a_changed_part_is_named(lead: lead_score.LeadScore) -> None:
    """One changed byte in the trees is refused with the part's name."""
    parts = lead.parts()
    with pytest.raises(ModelError, match=r"`trees.txt` was changed"):
        lead_score.load({**parts, "trees.txt": parts["trees.txt"].replace(b"leaf_value=", b"leaf_value=9", 1)})


def test_all_faults_are_told_at_once(lead: lead_score.LeadScore) -> None:
    """A missing and an added part are both named."""
    parts = lead.parts()
    del parts["trees.txt"]
    with pytest.raises(ModelError) as caught:
        lead_score.load({**parts, "notes.txt": b""})
    assert len(caught.value.faults) == 2


def test_a_newer_format_is_refused() -> None:
    """A model that a newer release stored is refused, and the message says so."""
    parts = seal({"estimator": "lead_score"}, {})
    newer = canonical({**json.loads(parts["manifest.json"]), "format": FORMAT + 1})
    with pytest.raises(ModelError, match="newer release"):
        lead_score.load({**parts, "manifest.json": newer})


def test_a_model_of_another_kind_is_refused(responses: response.Response) -> None:
    """A response model is not read as a lead score."""
    with pytest.raises(ModelError, match="model of `response`"):
        lead_score.load(responses.parts())


def test_bytes_that_are_no_model_are_refused() -> None:
    """Rubbish gives a model error and nothing else."""
    with pytest.raises(ModelError, match="not a stored model"):
        response.load({"manifest.json": b"\xff\x00"})


def test_the_digest_stands_for_every_part(lead: lead_score.LeadScore) -> None:
    """The model's digest is that of the manifest, which holds the digest of each part."""
    parts = lead.parts()
    listed = json.loads(parts["manifest.json"])["parts"]
    assert listed == {name: digest(part) for name, part in parts.items() if name != "manifest.json"}
    assert model_digest(parts) == digest(parts["manifest.json"])


def test_a_stored_model_says_what_it_was_trained_on(lead: lead_score.LeadScore, responses: response.Response) -> None:
    """Window, rows, seed, features with their labels, and metrics or assumptions stand in the stored model, without a float."""
    model = json.loads(lead.parts()["model.json"], parse_float=pytest.fail)
    assert {"seed", "window", "rows", "hcps", "settings", "validation_deviance"} <= set(model["facts"])
    assert all(column["labels"] for column in model["inputs"]["columns"])
    answer = json.loads(responses.parts()["model.json"], parse_float=pytest.fail)
    assert answer["facts"]["assumptions"]
    assert answer["facts"]["horizon_periods"] == 1
