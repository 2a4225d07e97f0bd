"""Uplift at size, and on data with known or differing effects, beside econml (in a temporary environment where it is not installed)."""

import gzip
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Row
from remit.models import uplift

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
IHDP, INSURANCE = DATA / "ihdp", DATA / "information_insurance"
SEED = 7
_HALVES = 200

_SIZED = """
import json, resource, sys, time
import numpy as np
rows, seed, other = int(sys.argv[1]), 7, sys.argv[2] == "econml"
draw = np.random.default_rng(seed)
matrix = draw.normal(size=(rows, 100))
arm = draw.choice(3, rows, p=[0.4, 0.3, 0.3])
effects = np.column_stack([0.3 * np.maximum(matrix[:, 0], 0), 0.2 * matrix[:, 1]])
outcome = draw.poisson(np.exp(0.2 * matrix[:, 2])) + np.column_stack([np.zeros(rows), effects])[np.arange(rows), arm]
start = time.perf_counter()
if other:
    from econml.dr import DRLearner
    from lightgbm import LGBMRegressor
    from sklearn.dummy import DummyClassifier
    trees = LGBMRegressor(n_estimators=100, num_leaves=8, max_bin=63, verbosity=-1, n_jobs=2)
    model = DRLearner(model_propensity=DummyClassifier(), model_regression=trees, model_final=trees, cv=2, random_state=seed)
    model.fit(outcome, arm, X=matrix)
    found, name = np.column_stack([model.effect(matrix, T0=0, T1=each) for each in (1, 2)]), "DRLearner"
else:
    from remit.models import uplift
    model = uplift.train(matrix, arm, outcome, np.tile([0.4, 0.3, 0.3], (rows, 1)), seed=seed, threads=2)
    found, name = model.effect(matrix, threads=2).estimate, model.learner
took = time.perf_counter() - start
error = float(np.sqrt(((found - effects) ** 2).mean()))
print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, error, name]))
"""

_OTHERS = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np
from econml.dml import CausalForestDML
from econml.dr import DRLearner
from econml.metalearners import SLearner, TLearner, XLearner
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.preprocessing import StandardScaler
given = np.load(sys.argv[1])
matrix, arm, outcome, asked = (given[name] for name in ("matrix", "arm", "outcome", "asked"))
trees = LGBMRegressor(n_estimators=100, learning_rate=0.05, num_leaves=8, verbosity=-1, n_jobs=1)
chance = LGBMClassifier(n_estimators=30, num_leaves=4, verbosity=-1, n_jobs=1)
answer = {
    "S": SLearner(overall_model=trees).fit(outcome, arm, X=matrix).effect(asked),
    "T": TLearner(models=trees).fit(outcome, arm, X=matrix).effect(asked),
    "X": XLearner(models=trees, propensity_model=chance).fit(outcome, arm, X=matrix).effect(asked),
    "DR": DRLearner(model_propensity=chance, model_regression=trees, model_final=trees, random_state=1).fit(outcome, arm, X=matrix).effect(asked),
    "causal forest": CausalForestDML(model_y=trees, model_t=chance, discrete_treatment=True, random_state=1, n_jobs=1)
    .fit(outcome, arm, X=matrix)
    .effect(asked),
}
if len(arm) <= 2000:
    scale = StandardScaler().fit(matrix)
    kernel = ConstantKernel(1.0) * RBF(3.0) + WhiteKernel(0.5)
    told = [
        GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(scale.transform(matrix[arm == each]), outcome[arm == each])
        for each in (0, 1)
    ]
    answer["GP T"] = told[1].predict(scale.transform(asked)) - told[0].predict(scale.transform(asked))
print(json.dumps({name: np.ravel(effect).tolist() for name, effect in answer.items()}))
"""


def measure(quick: bool) -> list[Row]:
    """Rows on size, ihdp and information_insurance."""
    with tempfile.TemporaryDirectory() as folder:
        python = _econml(Path(folder))
        rows = [_sized(20_000 if quick else 1_000_000, 10_000 if quick else 100_000, python)]
        for number in range(1, 2 if quick else 5):
            rows.append(_ihdp(number, python, Path(folder)))
        return [*rows, _insurance(python, Path(folder))]


def _econml(folder: Path) -> str | None:
    """A Python that has econml: this one, or that of a temporary environment; None where it cannot be installed."""
    if find_spec("econml") is not None:
        return sys.executable
    print("econml is not installed here: making a temporary environment with it ...", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = str(folder / "venv" / "bin" / "python")
    ran = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "econml", "lightgbm"], capture_output=True, text=True)
    if ran.returncode:
        print(f"econml could not be installed: {ran.stderr.strip().splitlines()[-1:]}", file=sys.stderr, flush=True)
        return None
    return python


def _run(python: str, code: str, *more: str) -> Any:
    ran = subprocess.run([python, "-W", "ignore", "-c", code, *more], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def _sized(rows: int, others: int, python: str | None) -> Row:
    took, peak, error, name = _run(sys.executable, _SIZED, str(rows), "remit")
    beside = "econml could not be installed"
    if python is not None:
        other, other_peak, other_error, other_name = _run(python, _SIZED, str(others), "econml")
        beside = f"econml {other_name} on {others:,} rows {other:.0f} s, {other_peak:.1f} GiB, error {other_error:.3f}"
        beside += f"; in proportion {float(other) * rows / others:.0f} s"
    reached = float(took) <= 300 and float(peak) <= 8 if rows == 1_000_000 else None
    told = f"{took:.0f} s with comparison of five learners and prediction, peak {peak:.1f} GiB; `{name}`, error {error:.3f}"
    return Row(f"uplift, {rows:,} rows x 100 features x 3 arms", "<= 5 min, <= 8 GB at 1,000,000", told, beside, reached)


def _both(
    matrix: np.ndarray, arm: np.ndarray, outcome: np.ndarray, asked: np.ndarray, chances: np.ndarray | None, python: str | None, folder: Path
) -> tuple[uplift.Uplift, dict[str, np.ndarray]]:
    """The model that compared all, and the effects of `asked`: "chosen" and by each learner of ours, and by others."""
    compared = uplift.train(matrix, arm, outcome, chances, seed=SEED, threads=1)
    effects = {"chosen": compared.effect(asked, threads=1).estimate[:, 0]}
    for each in compared.judged:
        model = uplift.train(matrix, arm, outcome, chances, seed=SEED, threads=1, learners=[each.learner])
        effects[each.learner] = model.effect(asked, threads=1).estimate[:, 0]
    if python is not None:
        np.savez(folder / "given.npz", matrix=matrix, arm=arm, outcome=outcome, asked=asked)
        found = _run(python, _OTHERS, str(folder / "given.npz"))
        effects |= {f"econml {name}" if name != "GP T" else "sklearn GP T": np.array(effect) for name, effect in found.items()}
    return compared, effects


def _ihdp(number: int, python: str | None, folder: Path) -> Row:
    work = f"uplift, ihdp {number}: root PEHE (90% interval of the gap to the chosen)"
    if not IHDP.exists():
        return Row(work, "below a GP T-learner", "not measured: ../shared/data/ihdp is not there", "", None)
    rows = np.loadtxt(IHDP / f"ihdp_npci_{number}.csv", delimiter=",")
    true = rows[:, 4] - rows[:, 3]
    model, effects = _both(rows[:, 5:], rows[:, 0].astype(int), rows[:, 1], rows[:, 5:], None, python, folder)
    squared = {name: (effect - true) ** 2 for name, effect in effects.items()}
    drawn = np.random.default_rng(SEED).integers(0, len(true), (1_000, len(true)))
    told = {}
    for name, errors in squared.items():
        gap = np.sqrt(errors[drawn].mean(axis=1)) - np.sqrt(squared["chosen"][drawn].mean(axis=1))
        low, high = np.quantile(gap, (0.05, 0.95))
        told[name] = f"{name} {np.sqrt(errors.mean()):.3f} [{low:+.3f}, {high:+.3f}]"
    best = np.sqrt(squared["chosen"].mean()) <= np.sqrt(squared["sklearn GP T"].mean()) if "sklearn GP T" in squared else None
    return _row(work, "not above a GP T-learner", model, told, None if best is None else bool(best))


def _insurance(python: str | None, folder: Path) -> Row:
    work = "uplift, information_insurance: AUTOC on 3,000 rows left out (90% interval of the chosen's lead)"
    if not INSURANCE.exists():
        return Row(work, "as the best", "not measured: ../shared/data/information_insurance is not there", "", None)
    with gzip.open(INSURANCE / "train.csv.gz", "rt") as file:
        names = file.readline().strip().split(",")
        rows = np.loadtxt(file, delimiter=",")
    arm, outcome = rows[:, names.index("TREATMENT")].astype(int), rows[:, names.index("PURCHASE")]
    matrix = rows[:, [place for place, name in enumerate(names) if name not in {"TREATMENT", "PURCHASE", "UNIQUE_ID"}]]
    order, share = np.random.default_rng(SEED).permutation(len(arm)), arm.mean()
    learn, rest = order[:7_000], order[7_000:]
    chances = np.tile([1 - share, share], (len(learn), 1))
    model, effects = _both(matrix[learn], arm[learn], outcome[learn], matrix[rest], chances, python, folder)
    scores = ((arm / share - (1 - arm) / (1 - share)) * (outcome - outcome[learn].mean()))[rest]
    draw = np.random.default_rng(SEED)
    halves = [draw.permutation(len(rest))[: len(rest) // 2] for _ in range(_HALVES)]
    gains = {name: np.array([uplift.autoc(effect[some], scores[some]) for some in [np.arange(len(rest)), *halves]]) for name, effect in effects.items()}
    told, behind = {}, False
    for name, values in gains.items():
        lead = gains["chosen"] - values
        reach = 1.645 * (lead[1:] - lead[0]).std()
        told[name] = f"{name} {values[0]:.4f} [{lead[0] - reach:+.4f}, {lead[0] + reach:+.4f}]"
        behind |= bool(lead[0] + reach < 0)
    return _row(work, "no learner ahead by more than noise", model, told, not behind if python is not None else None)


def _row(work: str, reach: str, model: uplift.Uplift, told: dict[str, str], reached: bool | None) -> Row:
    own = [text for name, text in told.items() if not name.startswith(("econml", "sklearn"))]
    others = [text for name, text in told.items() if name.startswith(("econml", "sklearn"))]
    return Row(work, reach, f"{'; '.join(own)}. {model.facts['verdict']}", "; ".join(others) or "econml could not be installed", reached)
