"""Uplift at size, and on data with known or differing effects, beside econml (in a temporary environment where it is not installed)."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Row
from remit.models import uplift

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
IHDP, INSURANCE = DATA / "ihdp", DATA / "information_insurance"
SEED = 7
ECONML = "0.17.0"
_HALVES, _FOLDS = 200, 5
_STUDENT_90 = {2: 6.314, 3: 2.920, 4: 2.353}
"""Student's quantile of a two-sided 90% interval, by the number of replications."""

_SIZED = """
import json, resource, sys, time
import numpy as np
rows, seed, other = int(sys.argv[1]), 7, sys.argv[2] == "econml"
draw = np.random.default_rng(seed)
matrix = draw.normal(size=(rows, 100))
arm = draw.choice(3, rows, p=[0.4, 0.3, 0.3])
effects = np.column_stack([0.3 * np.maximum(matrix[:, 0], 0), 0.2 * matrix[:, 1]])
outcome = draw.poisson(np.exp(0.2 * matrix[:, 2])) + np.column_stack([np.zeros(rows), effects])[np.arange(rows), arm]
start, spent = time.perf_counter(), time.process_time()
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
took, spent = time.perf_counter() - start, time.process_time() - spent
error = float(np.sqrt(((found - effects) ** 2).mean()))
print(json.dumps([took, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, error, name]))
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
        return [*rows, _ihdp(2 if quick else 4, python, Path(folder)), _insurance(1 if quick else _FOLDS, python, Path(folder))]


def _econml(folder: Path) -> str | None:
    """A Python that has econml: this one, or that of a temporary environment; None, with the reason printed, where it cannot be installed."""
    if find_spec("econml") is not None:
        return sys.executable
    print(f"econml is not installed here: making a temporary environment with econml {ECONML} ...", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = str(folder / "venv" / "bin" / "python")
    wanted = [f"econml=={ECONML}", f"lightgbm=={version('lightgbm')}"]
    ran = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], capture_output=True, text=True)
    if ran.returncode:
        print(f"econml is left out, for it could not be installed: {' '.join(ran.stderr.strip().splitlines()[-1:])}", file=sys.stderr, flush=True)
        return None
    return python


def _run(python: str, code: str, *more: str) -> Any:
    waiting = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # a thread that waits sleeps, so that processor seconds are work
    ran = subprocess.run([python, "-W", "ignore", "-c", code, *more], stdout=subprocess.PIPE, text=True, check=True, env=waiting)
    return json.loads(ran.stdout.splitlines()[-1])


def _sized(rows: int, others: int, python: str | None) -> Row:
    ours, beside = {size: _run(sys.executable, _SIZED, str(size), "remit") for size in (others, rows)}, "econml could not be installed"
    if python is not None:
        other = _run(python, _SIZED, str(others), "econml")
        beside = f"at {others:,} rows econml's {_told(other)}; ours {_told(ours[others])}. "
        beside += f"econml was not run at {rows:,}: in proportion to rows {other[0] * rows / others:.0f} s ({other[1] * rows / others:.0f} s of processor)"
    reached = ours[rows][0] <= 300 and ours[rows][2] <= 8 if rows == 1_000_000 else None
    return Row(f"uplift, {rows:,} rows x 100 features x 3 arms", "<= 5 min, <= 8 GB at 1,000,000", _told(ours[rows]), beside, reached)


def _told(run: tuple[float, float, float, float, str]) -> str:
    took, spent, peak, error, name = run
    return f"`{name}` {took:.0f} s ({spent:.0f} s of processor), peak {peak:.1f} GiB, root mean squared error {error:.3f}"


def _others(python: str | None, folder: Path, matrix: np.ndarray, arm: np.ndarray, outcome: np.ndarray, asked: np.ndarray) -> dict[str, np.ndarray]:
    """The effects of `asked` by public learners."""
    if python is None:
        return {}
    np.savez(folder / "given.npz", matrix=matrix, arm=arm, outcome=outcome, asked=asked)
    found = _run(python, _OTHERS, str(folder / "given.npz"))
    return {f"econml {name}" if name != "GP T" else "sklearn GP T": np.array(effect) for name, effect in found.items()}


def _ihdp(replications: int, python: str | None, folder: Path) -> Row:
    work = f"uplift, ihdp: root PEHE, mean of {replications} replications (90% interval of the gap to the chosen, by Student over replications)"
    if not IHDP.exists():
        return Row(work, "not above a GP T-learner", "not measured: ../shared/data/ihdp is not there", "", None)
    found: dict[str, list[float]] = {}
    taken = []
    for number in range(1, replications + 1):
        rows = np.loadtxt(IHDP / f"ihdp_npci_{number}.csv", delimiter=",")
        matrix, arm, outcome, true = rows[:, 5:], rows[:, 0].astype(int), rows[:, 1], rows[:, 4] - rows[:, 3]
        model = uplift.train(matrix, arm, outcome, None, seed=SEED, threads=1)
        taken.append(model.learner)
        effects = {"chosen": model.effect(matrix, threads=1).estimate[:, 0]}
        effects |= _others(python, folder, matrix, arm, outcome, matrix)
        for name, effect in effects.items():
            found.setdefault(name, []).append(float(np.sqrt(((effect - true) ** 2).mean())))
    told, ahead = {}, {}
    for name, errors in found.items():
        gap = np.array(errors) - np.array(found["chosen"])
        reach = _STUDENT_90[replications] * gap.std(ddof=1) / np.sqrt(replications)
        told[name], ahead[name] = f"{name} {np.mean(errors):.3f} [{gap.mean() - reach:+.3f}, {gap.mean() + reach:+.3f}]", gap.mean() >= 0
    return _row(work, "not above a GP T-learner", f"taken: {', '.join(taken)}", told, bool(ahead["sklearn GP T"]) if "sklearn GP T" in ahead else None)


def _insurance(folds: int, python: str | None, folder: Path) -> Row:
    work = f"uplift, information_insurance: AUTOC on rows left out, mean of {folds} splits of {_FOLDS} that share none (90% interval of the chosen's lead)"
    if not INSURANCE.exists():
        return Row(work, "no public learner ahead by more than noise", "not measured: ../shared/data/information_insurance is not there", "", None)
    with gzip.open(INSURANCE / "train.csv.gz", "rt") as file:
        names = file.readline().strip().split(",")
        rows = np.loadtxt(file, delimiter=",")
    arm, outcome = rows[:, names.index("TREATMENT")].astype(int), rows[:, names.index("PURCHASE")]
    matrix = rows[:, [place for place, name in enumerate(names) if name not in {"TREATMENT", "PURCHASE", "UNIQUE_ID"}]]
    draw, share = np.random.default_rng(SEED), arm.mean()
    fold = draw.permutation(len(arm)) % _FOLDS
    gains: dict[str, list[np.ndarray]] = {}
    taken = []
    for part in range(folds):
        learn, rest = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        model = uplift.train(matrix[learn], arm[learn], outcome[learn], np.tile([1 - share, share], (len(learn), 1)), seed=SEED, threads=1)
        taken.append(model.learner)
        effects = {"chosen": model.effect(matrix[rest], threads=1).estimate[:, 0]}
        effects |= _others(python, folder, matrix[learn], arm[learn], outcome[learn], matrix[rest])
        scores = ((arm / share - (1 - arm) / (1 - share)) * (outcome - outcome[learn].mean()))[rest]
        several = [np.arange(len(rest)), *(draw.permutation(len(rest))[: len(rest) // 2] for _ in range(_HALVES))]
        for name, effect in effects.items():
            gains.setdefault(name, []).append(np.array([uplift.autoc(effect[some], scores[some]) for some in several]))
    told, behind = {}, False
    for name, values in gains.items():
        lead = np.mean(np.array(gains["chosen"]) - np.array(values), axis=0)
        reach = 1.645 * np.sqrt(((lead[1:] - lead[0]) ** 2).mean())
        told[name] = f"{name} {np.mean([value[0] for value in values]):.4f} [{lead[0] - reach:+.4f}, {lead[0] + reach:+.4f}]"
        behind |= bool(lead[0] + reach < 0)
    return _row(work, "no public learner ahead by more than noise", f"taken: {', '.join(taken)}", told, not behind if python is not None else None)


def _row(work: str, reach: str, taken: str, told: dict[str, str], reached: bool | None) -> Row:
    own = [text for name, text in told.items() if not name.startswith(("econml", "sklearn"))]
    others = [text for name, text in told.items() if name.startswith(("econml", "sklearn"))]
    return Row(work, reach, f"{'; '.join(own)} ({taken})", "; ".join(others) or "econml could not be installed", reached)
