"""Uplift: known effects are found, intervals hold them as often as they say, gaps between learners are called noise where they are, and faults are told."""

import gzip
import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from remit.models import ModelError, model_digest, uplift
from remit.models.uplift import model as model_room

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
IHDP, INSURANCE = DATA / "ihdp", DATA / "information_insurance"

train = partial(uplift.train, seed=1, threads=1)


def trial(rows: int, seed: int = 0, arms: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A randomised trial with effects that are lines: features, arm, outcome, probabilities, true effects."""
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(rows, 5))
    arm = np.arange(rows) % arms
    effects = np.column_stack([1.0 + (1 + each) * matrix[:, each] for each in range(arms - 1)])
    outcome = matrix[:, 2] + np.column_stack([np.zeros(rows), effects])[np.arange(rows), arm] + draw.normal(size=rows)
    return matrix, arm, outcome, np.full((rows, arms), 1 / arms), effects


@pytest.mark.parametrize("learner", sorted(uplift.LEARNERS))
def test_each_learner_finds_known_effects_of_two_arms_and_stores_them(learner: str) -> None:
    """Estimates follow the true effects, and the stored model answers the same to the bit."""
    matrix, arm, outcome, chances, effects = trial(450, arms=3)
    model = train(matrix, arm, outcome, chances, learners=[learner])
    answer = model.effect(matrix, threads=1)
    for place in range(2):
        assert np.corrcoef(answer.estimate[:, place], effects[:, place])[0, 1] > 0.8
    loaded = uplift.load(model.parts())
    again = loaded.effect(matrix[:7], threads=2)
    assert np.array_equal(again.estimate, answer.estimate[:7])
    assert np.array_equal(again.low, answer.low[:7])
    assert loaded.parts() == model.parts()
    assert loaded.judged == model.judged


def test_confounding_that_the_features_hold_is_taken_out() -> None:
    """Where those with high outcomes are treated more, the difference of means is far off, and the interval holds the effect."""
    draw = np.random.default_rng(4)
    matrix = draw.normal(size=(1200, 3))
    arm = (draw.random(1200) < 1 / (1 + np.exp(-1.5 * matrix[:, 0]))).astype(int)
    outcome = 2 * matrix[:, 0] + 0.5 * arm + draw.normal(size=1200)
    groups = train(matrix, arm, outcome, None, learners=["dr"]).groups[0]
    assert outcome[arm == 1].mean() - outcome[arm == 0].mean() > 1.5
    assert abs(groups.mean.mean() - 0.5) < 0.3


def drawn(kind: str, rows: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Features, arm, outcome, probabilities and true effects of one of several kinds of made-up data."""
    matrix = draw.normal(size=(rows, 4))
    first, second = matrix[:, 0], matrix[:, 1]
    shares = np.array([0.4, 0.3, 0.3] if kind == "three arms" else [0.5, 0.5])
    given = np.tile(shares, (rows, 1))
    if kind == "confounded":
        likely = 1 / (1 + np.exp(0.4 * second - 0.8 * first))
        given = np.column_stack([1 - likely, likely])
    arm = (draw.random(rows)[:, None] > np.cumsum(given, axis=1)).sum(axis=1)
    if kind == "rare":
        none, some = 1 / (1 + np.exp(3.0 - 0.5 * first)), 1 / (1 + np.exp(2.6 - 0.5 * first - 0.5 * second))
        return matrix, arm, (draw.random(rows) < np.where(arm == 1, some, none)).astype(float), given, (some - none)[:, None]
    effects = {
        "nothing differs": np.full((rows, 1), 0.2),
        "heavy tails": (0.3 + 0.4 * first)[:, None],
        "confounded": (0.5 + 0.6 * np.tanh(second))[:, None],
        "three arms": np.column_stack([0.2 + 0.4 * first, 0.3 * np.abs(second)]),
    }[kind]
    noise = draw.lognormal(0, 1, rows) if kind == "heavy tails" else draw.normal(size=rows)
    outcome = first + np.column_stack([np.zeros(rows), effects])[np.arange(rows), arm] + noise
    return matrix, arm, outcome, None if kind == "confounded" else given, effects


def test_group_intervals_hold_the_groups_true_mean_as_often_as_they_say() -> None:
    """Over draws of five kinds of data, 90% intervals hold the mean effect of the HCPs that the model puts in the group, at the ends as in the middle."""
    held, ends = [], []
    for kind in ("nothing differs", "heavy tails", "rare", "confounded", "three arms"):
        for seed in range(6):
            draw = np.random.default_rng(seed)
            model = train(*drawn(kind, 400, draw)[:4], learners=["linear"])
            matrix, *_, effects = drawn(kind, 4_000, draw)
            answer = model.effect(matrix, threads=1)
            for place, groups in enumerate(model.groups):
                true = [effects[answer.group[:, place] == number, place].mean() for number in range(len(groups.mean))]
                inside = (groups.low <= true) & (true <= groups.high)
                held += inside.tolist()
                ends += inside[[0, -1]].tolist()
    assert len(held) >= 100
    assert 0.85 <= np.mean(held) <= 0.97
    assert np.mean(ends) >= 0.85


def test_groups_are_as_many_as_their_scores_can_bear() -> None:
    """Outcomes of which one in a hundred is huge leave one group, and measure it on all rows."""
    matrix, arm, outcome, chances, _ = trial(400)
    assert len(train(matrix, arm, outcome, chances, learners=["linear"]).groups[0].mean) > 1
    model = train(matrix, arm, np.where(np.arange(400) % 100 == 1, 500.0, outcome), chances, learners=["linear"])
    assert len(model.groups[0].mean) == 1
    assert model.grouping is None


def test_a_large_sample_is_judged_and_measured_on_rows_left_out_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a size (made small here) some rows judge learners, others measure groups, and what is stored forms the groups itself."""
    monkeypatch.setattr(model_room, "_LARGE", 1_500)
    monkeypatch.setattr(model_room, "_JUDGED", 500)
    matrix, arm, outcome, chances, effects = trial(2_000, arms=3)
    model = train(matrix, arm, outcome, chances, learners=["linear", "s"])
    assert model.facts["rows_judged"] == 500
    assert model.grouping is None
    answer = model.effect(matrix, threads=1)
    assert model.learner == "linear"
    for place in range(2):
        true = np.array([effects[answer.group[:, place] == number, place].mean() for number in range(len(model.groups[place].mean))])
        assert len(true) > 2
        assert np.mean((model.groups[place].low <= true) & (true <= model.groups[place].high)) >= 0.6


@pytest.mark.parametrize("learner", ["linear", "gp"])
def test_own_intervals_hold_own_effects_where_their_assumption_does(learner: str) -> None:
    """Where effects are lines, about 90% of HCPs have their true effect in their own interval, and learners without the assumption give none."""
    held = []
    for seed in range(4):
        matrix, arm, outcome, chances, effects = trial(300, seed)
        answer = train(matrix, arm, outcome, chances, learners=[learner]).effect(matrix, threads=1)
        assert answer.own_low is not None
        assert answer.own_high is not None
        held.append(np.mean((answer.own_low <= effects) & (effects <= answer.own_high)))
    assert 0.75 <= np.mean(held) <= 1.0


def test_trees_give_no_interval_of_an_own_effect() -> None:
    """The X-learner answers for groups only."""
    matrix, arm, outcome, chances, _ = trial(200)
    assert train(matrix, arm, outcome, chances, learners=["x"]).effect(matrix, threads=1).own_low is None


def test_gaps_that_are_noise_are_called_noise_and_the_simpler_learner_is_taken() -> None:
    """Where everybody has the same effect, the verdict says that no difference is shown, and the first within one standard error is taken."""
    draw = np.random.default_rng(2)
    matrix, arm = draw.normal(size=(500, 4)), np.arange(500) % 2
    model = train(matrix, arm, arm + draw.normal(size=500), np.full((500, 2), 0.5), learners=["linear", "s", "dr"])
    assert "is not shown" in str(model.facts["verdict"])
    assert model.learner == next(each.learner for each in model.judged if each.behind.value <= (each.behind.high - each.behind.value) / 1.6448536269514722)


def test_a_gap_that_is_not_noise_is_found() -> None:
    """Where effects jump twice, a line is behind boosted trees, by an interval clear of zero."""
    draw = np.random.default_rng(3)
    matrix, arm = draw.normal(size=(2500, 3)), np.arange(2500) % 2
    effect = np.where(np.abs(matrix[:, 0]) > 0.7, 3.0, 0.0)
    model = train(matrix, arm, arm * effect + draw.normal(size=2500), np.full((2500, 2), 0.5), learners=["linear", "t"])
    assert model.learner == "t"
    assert model.judged[0].behind.low > 0
    assert model.judged[1].autoc.low > 0


def test_a_segment_of_ten_gives_one_interval_and_does_not_fall_over() -> None:
    """Ten physicians, three of them treated: one group, with a finite and wide interval."""
    matrix, _, outcome, _, _ = trial(10)
    arm = np.array([0, 0, 1, 0, 0, 1, 0, 0, 1, 0])
    answer = train(matrix, arm, outcome, None).effect(matrix, threads=1)
    assert np.isfinite(answer.estimate).all()
    assert set(answer.group.ravel()) == {0}
    assert (answer.high - answer.low > 1).all()


def test_outcomes_that_are_all_zero_give_effects_of_zero() -> None:
    """Nobody did anything: the effect is 0, and its interval is 0."""
    matrix, arm, outcome, chances, _ = trial(120)
    answer = train(matrix, arm, np.zeros_like(outcome), chances).effect(matrix, threads=1)
    assert not answer.estimate.any()
    assert not answer.low.any()
    assert not answer.high.any()


def test_unknown_values_constant_columns_and_names_are_read() -> None:
    """NaN anywhere, a column that never varies, one that is wholly unknown, and a categorical with a value never seen before."""
    matrix, arm, outcome, chances, effects = trial(400)
    draw = np.random.default_rng(1)
    matrix[draw.random(matrix.shape) < 0.05] = np.nan
    wide = np.column_stack([matrix, np.ones(400), np.full(400, np.nan), draw.integers(0, 3, 400)])
    model = train(wide, arm, outcome, chances, names=list("abcdefgh"), categorical=["h"], learners=["linear", "gp", "x"])
    wide[:, 7] = 9
    answer = model.effect(wide, threads=1)
    assert np.isfinite(answer.estimate).all()
    assert np.corrcoef(answer.estimate[:, 0], effects[:, 0])[0, 1] > 0.7


def test_all_faults_are_told_at_once() -> None:
    """An arm that nobody got, outcomes that are no numbers and infinite features come in one message."""
    matrix, arm, outcome, _, _ = trial(60)
    matrix[3, 2], outcome[5] = np.inf, np.nan
    with pytest.raises(ModelError) as caught:
        train(matrix, np.where(arm == 1, 2, 0), outcome, None)
    told = "\n".join(caught.value.faults)
    assert "`x2` holds an infinite number" in told
    assert "first in row 5" in told
    assert "arm 1 has 0 rows" in told


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"arm": np.array([0])}, "arm 1 has 0 rows"),
        ({"arm": np.zeros(40, int)}, "arm 1 has 0 rows"),
        ({"arm": np.r_[1, np.zeros(39, int)]}, "arm 1 has 1 row;"),
        ({"arm": np.full(40, -1)}, "arms are 0 (control)"),
        ({"outcome": np.zeros(39)}, "`outcome` has the shape (39,)"),
        ({"probabilities": np.full((40, 2), 0.4)}, "not between 0 and 1 with sum 1"),
        ({"probabilities": np.tile([1.0, 0.0], (40, 1))}, "probability 0"),
        ({"probabilities": np.full((40, 3), 1 / 3)}, "arm 2 has 0 rows"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused(change: dict[str, np.ndarray], says: str) -> None:
    """Each fault has its message."""
    matrix, arm, outcome, chances, _ = trial(40)
    given = {"arm": arm, "outcome": outcome, "probabilities": chances} | change
    if len(given["arm"]) == 1:
        matrix, given["outcome"], given["probabilities"] = matrix[:1], outcome[:1], chances[:1]
    with pytest.raises(ModelError) as caught:
        train(matrix, **given)
    assert any(says in fault for fault in caught.value.faults)


def test_a_process_refuses_more_rows_than_it_can_take_and_an_unknown_learner_is_named() -> None:
    """Both faults come at once, before anything is computed."""
    matrix, arm, outcome, chances, _ = trial(2_001)
    with pytest.raises(ModelError) as caught:
        train(matrix, arm, outcome, chances, learners=["gp", "oracle"])
    assert len(caught.value.faults) == 2


def test_a_matrix_of_other_columns_is_refused() -> None:
    """A model says how many columns it reads."""
    matrix, arm, outcome, chances, _ = trial(60)
    with pytest.raises(ModelError, match="reads 5 columns"):
        train(matrix, arm, outcome, chances, learners=["linear"]).effect(matrix[:, :4], threads=1)


def test_a_changed_part_is_refused() -> None:
    """One byte of the slopes is enough."""
    matrix, arm, outcome, chances, _ = trial(60)
    parts = train(matrix, arm, outcome, chances, learners=["linear"]).parts()
    with pytest.raises(ModelError, match=r"slopes-0.f64"):
        uplift.load({**parts, "slopes-0.f64": parts["slopes-0.f64"][:-1] + b"\x01"})


SCRIPT = """
import sys
from tests.models.test_uplift import trial
from remit.models import model_digest, uplift
matrix, arm, outcome, chances, _ = trial(200)
print([model_digest(uplift.train(matrix, arm, outcome, None, seed=3, threads=int(sys.argv[1]), learners=[each]).parts()) for each in uplift.LEARNERS])
"""


def test_training_gives_the_same_bytes_in_any_process_on_any_number_of_threads() -> None:
    """Another process with another hash seed, two threads and a BLAS of its own choosing stores every learner to the same digest."""
    matrix, arm, outcome, _, _ = trial(200)
    here = [model_digest(uplift.train(matrix, arm, outcome, None, seed=3, threads=1, learners=[each]).parts()) for each in uplift.LEARNERS]
    told = {**os.environ, "PYTHONHASHSEED": "77", "OPENBLAS_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    ran = subprocess.run([sys.executable, "-c", SCRIPT, "2"], capture_output=True, text=True, check=True, env=told, cwd=Path(__file__).parents[2])
    assert ran.stdout.strip() == str(here)


def test_ranking_figures_are_those_of_the_paper() -> None:
    """AUTOC is the mean over shares of the top's mean less the overall mean, Qini the same weighted by the share; no order gives nothing."""
    draw = np.random.default_rng(0)
    effect, scores = draw.normal(size=50), draw.normal(size=50)
    ordered = scores[np.argsort(-effect)]
    tops = np.array([ordered[:many].mean() - scores.mean() for many in range(1, 51)])
    assert uplift.autoc(effect, scores) == pytest.approx(tops.mean())
    assert uplift.qini(effect, scores) == pytest.approx((tops * np.arange(1, 51)).mean() / 50, abs=0.02)
    assert uplift.autoc(np.zeros(50), scores) == pytest.approx(0)


@pytest.mark.skipif(not IHDP.exists(), reason="../shared/data/ihdp is not there")
def test_known_individual_effects_of_ihdp_are_recovered() -> None:
    """On the first replication, whose effects are known, the root mean squared error is well below the spread of the effects."""
    rows = np.loadtxt(IHDP / "ihdp_npci_1.csv", delimiter=",")
    true = rows[:, 4] - rows[:, 3]
    model = train(rows[:, 5:], rows[:, 0].astype(int), rows[:, 1], None, learners=["gp", "t"])
    estimate = model.effect(rows[:, 5:], threads=1).estimate[:, 0]
    assert np.sqrt(((estimate - true) ** 2).mean()) < 0.65 * true.std()


@pytest.mark.skipif(not INSURANCE.exists(), reason="../shared/data/information_insurance is not there")
def test_the_order_of_effects_in_a_real_trial_is_found_on_a_split() -> None:
    """Learned on most of the file, ranking gains on the rest: the AUTOC there is above zero by more than its spread under random orders."""
    with gzip.open(INSURANCE / "train.csv.gz", "rt") as file:
        names = file.readline().strip().split(",")
        rows = np.loadtxt(file, delimiter=",")
    arm, outcome = rows[:, names.index("TREATMENT")].astype(int), rows[:, names.index("PURCHASE")]
    matrix = rows[:, [place for place, name in enumerate(names) if name not in {"TREATMENT", "PURCHASE", "UNIQUE_ID"}]]
    share = arm.mean()
    order = np.random.default_rng(8).permutation(len(arm))
    learn, rest = order[:7_000], order[7_000:]
    chances = np.tile([1 - share, share], (len(learn), 1))
    model = train(matrix[learn], arm[learn], outcome[learn], chances, learners=["x"])
    effect = model.effect(matrix[rest], threads=1).estimate[:, 0]
    scores = ((arm / share - (1 - arm) / (1 - share)) * (outcome - outcome.mean()))[rest]
    draw = np.random.default_rng(1)
    chance = [uplift.autoc(draw.normal(size=len(rest)), scores) for _ in range(200)]
    assert uplift.autoc(effect, scores) > np.quantile(chance, 0.99)


@pytest.mark.skipif(find_spec("econml") is None, reason="econml is not installed (pip install econml)")
@pytest.mark.filterwarnings("ignore")
def test_learners_agree_with_those_of_econml() -> None:
    """On a trial with known effects, each learner errs by no more than 1.2 times what econml's of its kind does with the same kind of trees."""
    from econml.dr import DRLearner, LinearDRLearner
    from econml.metalearners import SLearner, TLearner, XLearner
    from lightgbm import LGBMRegressor
    from sklearn.dummy import DummyClassifier

    matrix, arm, outcome, chances, effects = trial(1_500)
    trees = LGBMRegressor(n_estimators=100, learning_rate=0.05, num_leaves=8, n_jobs=1, verbosity=-1)
    chance = DummyClassifier()
    others = {
        "linear": LinearDRLearner(model_propensity=chance, model_regression=trees, random_state=1).fit(outcome, arm, X=matrix),
        "s": SLearner(overall_model=trees).fit(outcome, arm, X=matrix),
        "t": TLearner(models=trees).fit(outcome, arm, X=matrix),
        "x": XLearner(models=trees, propensity_model=chance).fit(outcome, arm, X=matrix),
        "dr": DRLearner(model_propensity=chance, model_regression=trees, model_final=trees, random_state=1).fit(outcome, arm, X=matrix),
    }
    for name, other in others.items():
        own = train(matrix, arm, outcome, chances, learners=[name]).effect(matrix, threads=1).estimate
        errors = [np.sqrt(((found.reshape(effects.shape) - effects) ** 2).mean()) for found in (own, other.effect(matrix))]
        assert errors[0] < 1.2 * errors[1], name
