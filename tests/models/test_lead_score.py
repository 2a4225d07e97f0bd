"""The lead score: right in level, the same everywhere, and explained without telling what may not be told."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from remit.features import catalogue
from remit.models import ModelError, lead_score, reasons
from remit.terms.labels import Label
from tests.models.learning import CATALOGUE, learning_frame

_PROGRAM = """
import hashlib, sys
from remit.models import lead_score, response
from tests.models.learning import CATALOGUE, learning_frame
frame = learning_frame(300, 10)
threads = int(sys.argv[1])
lead = lead_score.train(frame, CATALOGUE, seed=1, threads=threads)
parts = lead.parts() | {"response": response.train(frame, CATALOGUE, periods=1, seed=1, threads=threads).parts()["model.json"]}
scores = lead.predict(frame, threads=threads)["lead_score"].to_numpy().tobytes()
print(hashlib.sha256(b"".join(parts[name] for name in sorted(parts)) + scores).hexdigest())
"""


def test_same_bytes_in_another_process_with_other_threads_and_hash_seed() -> None:
    """Training and scoring give the same bytes whatever the process, its hash seed and its threads."""
    root = Path(__file__).parents[2]
    found = set()
    for threads, hash_seed in (("1", "0"), ("2", "4711")):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root), "OMP_WAIT_POLICY": "passive", "POLARS_MAX_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", _PROGRAM, threads], cwd=root, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout.strip())
    assert len(found) == 1
    assert len(found.pop()) == len(hashlib.sha256().hexdigest())


def test_scores_are_right_in_level(lead: lead_score.LeadScore, frame: pl.DataFrame) -> None:
    """The mean score of each product is its mean outcome within five percent."""
    scored = frame.with_columns(lead.predict(frame, threads=1)["lead_score"] / 1e6)
    ratio = scored.group_by("product").agg(pl.col("lead_score").mean() / pl.col("outcome").mean())["lead_score"]
    assert ratio.is_between(0.95, 1.05).all()


def test_validation_never_does_worse_than_the_physicians_own_mean(lead: lead_score.LeadScore) -> None:
    """What was chosen has at most the deviance of the plain weighted mean."""
    found = {name: float(value) for name, value in lead.facts["validation_deviance"].items()}
    assert found["chosen"] <= found["own_mean"]


def test_a_physician_nobody_reports_is_scored_like_the_specialty(lead: lead_score.LeadScore, latest: pl.DataFrame) -> None:
    """Unknown prescribing starts from the specialty's mean, not from zero."""
    silent = latest.with_columns(pl.lit(None, pl.Float64).alias(c.name) for c in CATALOGUE.columns if Label.PDRP in c.labels)
    ratio = lead.predict(silent, threads=1)["lead_score"].mean() / lead.predict(latest, threads=1)["lead_score"].mean()  # type: ignore[operator]
    assert 0.5 < ratio < 2


def test_questions_never_steer_promotion(lead: lead_score.LeadScore) -> None:
    """A feature made of inquiries is in the catalogue and not in the model."""
    assert Label.INQUIRY in CATALOGUE["inquiries_recent"].labels
    assert "inquiries_recent" not in lead.inputs.names


def test_one_instant_is_too_few() -> None:
    """A history that cannot be judged on later rows is refused."""
    with pytest.raises(ModelError, match="was over before the newest instant"):
        lead_score.train(learning_frame(20, 1), CATALOGUE, seed=1, threads=1)


def test_nothing_is_judged_by_rows_of_a_period_that_was_not_over() -> None:
    """Two instants within one month: there is nothing to judge the second by, though the first came before it."""
    frame = learning_frame(60, 2).with_columns(until=pl.col("instant").max() + 1)
    with pytest.raises(ModelError, match="was over before the newest instant"):
        lead_score.train(frame, CATALOGUE, seed=1, threads=1)


def test_a_catalogue_without_a_mean_is_refused() -> None:
    """Without `rx_mean_*` there is nothing to start from, and the message says so."""
    empty = catalogue([CATALOGUE["specialty"].feature], {"hcp.specialty": Label.COMMERCIAL}, [])
    with pytest.raises(ModelError, match="rx_mean"):
        lead_score.train(learning_frame(20, 3), empty, seed=1, threads=1)


def test_an_unknown_product_and_a_missing_column_are_refused(lead: lead_score.LeadScore, latest: pl.DataFrame) -> None:
    """A frame the model cannot read is refused with what is wrong."""
    with pytest.raises(ModelError, match="`gamma` was not in its training"):
        lead.predict(latest.with_columns(product=pl.lit("gamma")), threads=1)
    with pytest.raises(ModelError, match="`rx_newest` is missing"):
        lead.predict(latest.drop("rx_newest"), threads=1)


def test_an_empty_frame_gives_an_empty_answer(lead: lead_score.LeadScore, latest: pl.DataFrame) -> None:
    """No rows in, no rows out."""
    assert lead.predict(latest.clear(), threads=1).is_empty()


def test_contributions_add_up_to_the_score(lead: lead_score.LeadScore, latest: pl.DataFrame) -> None:
    """Between any two rows of a product, contributions explain the whole difference of the logarithms of the scores."""
    rows = latest.filter(product="alpha").head(50)
    total = lead.contributions(lead.inputs.protected(rows), threads=1).sum(axis=1)
    scores = np.log(lead.predict(rows, threads=1)["lead_score"].to_numpy())
    assert np.ptp(total - scores) < 1e-5


def test_reasons_keep_to_the_viewers_labels(lead: lead_score.LeadScore, latest: pl.DataFrame) -> None:
    """A viewer without the label `pdrp` is told of no prescribing; with it, the own mean leads."""
    seen = reasons(lead, latest.head(40), {Label.COMMERCIAL}, threads=1)
    assert not seen["feature"].str.starts_with("rx_").any()
    assert reasons(lead, latest.head(40), set(Label), threads=1).filter(rank=1)["feature"].str.starts_with("rx_mean_").any()


@pytest.mark.parametrize("flag", [True, None])
def test_reasons_never_name_prescribing_of_a_physician_under_pdrp(lead: lead_score.LeadScore, latest: pl.DataFrame, flag: bool | None) -> None:
    """Whoever looks, no reason of a physician under PDRP is labelled `pdrp`."""
    found = reasons(lead, latest.head(40).with_columns(pdrp=pl.lit(flag, pl.Boolean)), set(Label), threads=1, most=99)
    assert found.height > 0
    assert not found["feature"].str.starts_with("rx_").any()


def test_a_bricks_average_is_never_said_to_be_the_physicians_own(lead: lead_score.LeadScore, latest: pl.DataFrame) -> None:
    """Every reason made of prescriptions says that it is the brick's average, where it is, and no other reason does."""
    rows = latest.head(40).with_columns(rx_of_brick=pl.Series([place % 2 == 0 for place in range(40)]))
    found = reasons(lead, rows, set(Label), threads=1, most=99).join(rows.select("hcp_id", "product", "rx_of_brick"), on=["hcp_id", "product"])
    assert found.height > 0
    said = found["text"].str.contains("(average of the brick)", literal=True)
    assert (said == (found["feature"].str.starts_with("rx_") & found["rx_of_brick"])).all()


def test_reasons_are_ranked_and_said_in_words(lead: lead_score.LeadScore, latest: pl.DataFrame) -> None:
    """Ranks start at 1, at most `most` are given, and each text names its feature's words and its direction."""
    found = reasons(lead, latest.head(5), set(Label), threads=1, most=2)
    assert found["rank"].min() == 1
    assert found["rank"].max() == 2
    says = {column.name: column.says for column in lead.inputs.columns}
    for row in found.iter_rows(named=True):
        assert row["text"].startswith(says[row["feature"]] + (" raises" if row["factor"] >= 1_000_000 else " lowers"))


def test_deviance_is_zero_where_right_and_grows_beside() -> None:
    """Poisson deviance: 0 at the outcome, 2 m at none, as the formula says elsewhere, and a mean of nothing counts as 0.05."""
    outcome = np.array([3.0, 0.0, 2.0, 1.0])
    found = lead_score.deviance(outcome, np.array([3.0, 2.0, 1.0, 0.0]))
    assert found == pytest.approx([0.0, 4.0, 2 * (2 * np.log(2) - 1), 2 * (np.log(20) - 0.95)])
