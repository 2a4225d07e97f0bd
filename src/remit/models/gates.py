"""What a model must show before it may decide: development, then staging once the evidence holds, then production once two people have signed.

Every check gives its figure, the threshold and what to do. Evidence that is missing fails its check: nothing passes for want of a figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from remit.models.bias import Audit, dump_audit
from remit.models.evidence import HeldOut
from remit.models.leaks import FORESIGHT, Leak
from remit.models.response_evidence import HeldOutTouches
from remit.models.stored import plain

STAGES = ("development", "staging", "production")
PROVENANCE = ("segments", "window", "config", "catalogue", "code", "seed")
"""What must be said of where a model comes from: commitments of the data segments, the instants learned from, digests of configuration, features and code,
the seed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a model. None: it was not looked at, or could not be. `explained` is the share of rows for which reasons could be given, `unwatched`
    those of the figures `watched` whose drift could not be watched. `moved_by` gives, of a response, by channel the features that are a row's strongest reason,
    each with its share of the rows."""

    held_out: HeldOut | HeldOutTouches | None
    leaks: tuple[Leak, ...] | None
    audit: Audit | None
    explained: float | None
    unwatched: tuple[str, ...] | None
    provenance: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    watched: tuple[str, ...] = ("precision", "calibration", "outcome")
    moved_by: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Required:
    """What the evidence must reach: a `gain` over the baseline that its interval lies above; a forecast's calibration within `calibration`, a response's slope
    surely within `surely` and not surely outside `slope`; reasons for at least `explained` of the rows; no disparity in any of the `protected` columns, of
    which at least one must be held with two groups to compare."""

    gain: float = 0.0
    calibration: tuple[float, float] = (0.9, 1.1)
    slope: tuple[float, float] = (0.8, 1.25)
    surely: tuple[float, float] = (0.5, 2.0)
    explained: float = 0.95
    protected: tuple[str, ...] = ("practice_population", "rural", "sex")


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was found, what is asked for, and, where it failed, what to do."""

    name: str
    passed: bool
    found: str
    asked: str
    do: str


@dataclass(frozen=True, slots=True)
class SignOff:
    """One person's yes to one model, in a role, at an instant (UTC microseconds)."""

    person: str
    role: str
    at: int


def checks(evidence: Evidence, required: Required) -> tuple[Check, ...]:
    """Every check of the gate, in order."""
    return (
        _held_out(evidence.held_out, required),
        _right_in_size(evidence.held_out, required) if isinstance(evidence.held_out, HeldOutTouches) else _calibrated(evidence.held_out, required),
        _explained(evidence.explained, required),
        _knows_no_future(evidence.leaks),
        _fair(evidence.audit, required),
        _from_somewhere(evidence.provenance),
        _watched(evidence.unwatched, ", ".join(evidence.watched)),
    )


def stage(found: Sequence[Check], signed: Sequence[SignOff], roles: Sequence[str]) -> str:
    """Where a model stands. INVARIANT (two pairs of eyes): production needs every check passed, and each of `roles` signed by a different person."""
    if not found or not all(check.passed for check in found):
        return STAGES[0]
    return STAGES[1] if missing_roles(signed, roles) else STAGES[2]


def missing_roles(signed: Sequence[SignOff], roles: Sequence[str]) -> tuple[str, ...]:
    """The roles for which a sign-off is missing, each person counted for one role only; as few as can be."""
    best = _uncovered(tuple(roles), frozenset(), signed)
    return best if len(roles) > 1 else (*best, "the roles of two signers, which nobody has named")


def _uncovered(roles: tuple[str, ...], used: frozenset[str], signed: Sequence[SignOff]) -> tuple[str, ...]:
    if not roles:
        return ()
    first, rest = roles[0], roles[1:]
    answers = [_uncovered(rest, used | {each.person}, signed) for each in signed if each.role == first and each.person not in used]
    return min([*answers, (first, *_uncovered(rest, used, signed))], key=len)


def dump_evidence(evidence: Evidence, found: Sequence[Check]) -> dict[str, Any]:
    """Evidence and checks as plain values, numbers as text."""
    leaking = None if evidence.leaks is None else [plain(asdict(leak)) for leak in evidence.leaks if leak.found or leak is evidence.leaks[0]]
    return {
        "held_out": None if evidence.held_out is None else plain(asdict(evidence.held_out)),
        "leaks": leaking,
        "audit": None if evidence.audit is None else dump_audit(evidence.audit),
        "explained": plain(evidence.explained),
        "moved_by": plain(evidence.moved_by),
        "unwatched": plain(evidence.unwatched),
        "provenance": dict(evidence.provenance),
        "checks": [asdict(check) for check in found],
    }


def _held_out(metrics: HeldOut | HeldOutTouches | None, required: Required) -> Check:
    asked = f"the whole 90% interval of the gain over the baseline above {required.gain:.1%}, on time it did not learn from"
    do = "Train on more history or better features, or keep the baseline."
    if metrics is None:
        return Check("held-out metrics", False, "not held", asked, "Judge the model on time that it did not learn from.")
    gain = metrics.gain
    bricks = f" in {metrics.units:,} bricks" if metrics.units < metrics.hcps else ""
    found = f"gain {gain.value:.2%} ({gain.low:.2%} to {gain.high:.2%}) on {metrics.rows:,} rows of {metrics.hcps:,} HCPs{bricks}"
    return _check("held-out metrics", gain.low > required.gain, found, asked, do)


def _calibrated(metrics: HeldOut | None, required: Required) -> Check:
    low, high = required.calibration
    asked = f"observed over expected between {low:g} and {high:g}, and an interval that says something"
    ratio = None if metrics is None else metrics.calibration
    if ratio is None:
        return Check("calibration", False, "not held", asked, "Judge the model where outcomes are known and something is expected.")
    found = f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"
    good = low <= ratio.value <= high and low / 2 < ratio.low and ratio.high < high * 2
    return _check("calibration", good, found, asked, "Train anew on recent data, or look for what changed between learning and judging.")


def _right_in_size(metrics: HeldOutTouches, required: Required) -> Check:
    (low, high), (least, most) = required.slope, required.surely
    asked = f"what was seen by what was said: a 90% interval within {least:g} to {most:g} that meets {low:g} to {high:g}"
    if metrics.slope is None:
        return Check("calibration", False, "not held: it said that touches add nothing", asked, "Judge the model where promotion varies within HCPs.")
    slope = metrics.slope
    found = f"{slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"
    good = least < slope.low <= high and low <= slope.high < most
    return _check("calibration", good, found, asked, "Train on more HCPs or a longer history, or let chance decide more touches.")


def _explained(share: float | None, required: Required) -> Check:
    asked = f"reasons for at least {required.explained:.0%} of the rows"
    found = "not held" if share is None else f"{share:.1%}"
    return _check("reasons", share is not None and share >= required.explained, found, asked, "Give the estimator reasons that its viewers may see.")


def _knows_no_future(leaks: Sequence[Leak] | None) -> Check:
    asked = f"every feature comes out again from what had been received by its instant and was served so, and none sees ahead by more than {FORESIGHT:.0%}"
    if not leaks or all(leak.foresight is None for leak in leaks):
        return Check("no future", False, "not held: too few rows to tell", asked, "Train on more physicians or a longer history.")
    if all(leak.differs is None for leak in leaks):
        return Check("no future", False, "the features were not built again", asked, "Build them again for some of the instants, from the warehouse.")
    told = [leak.says for leak in leaks if leak.found]
    nearest = leaks[0]
    found = "; ".join(told) if told else f"{len(leaks)} columns; furthest ahead is `{nearest.column}` with {nearest.foresight or 0.0:.1%}"
    do = "Take the feature out, or correct when its rows were received (received_at, or the feed's lag), and train anew."
    return _check("no future", not told, found, asked, do)


def _fair(audit: Audit | None, required: Required) -> Check:
    names = ", ".join(required.protected)
    asked = f"no group of {names} selected at less than four fifths of the highest group's rate beyond chance, and one of them held"
    if audit is None:
        return Check("bias audit", False, "not held", asked, "Audit the model's selection by group.")
    compared = [name for name in required.protected if audit.judged(name) > 1]
    worse = [f"{group.column} {group.name}: {group.ratio.value:.2f}" for group in audit.disparities if group.column in required.protected and group.ratio]
    not_held = [name for name in required.protected if name not in compared]
    told = [f"compared by {', '.join(compared)}"] if compared else []
    told += [f"not held, or no two groups large enough: {', '.join(not_held)}"] if not_held else []
    do = "Add the columns to the feed `hcp`." if not compared else "Find out why these groups are selected less; change the model, its inputs or its use."
    return _check("bias audit", bool(compared) and not worse, "; ".join([*worse, *told]), asked, do)


def _from_somewhere(provenance: Mapping[str, Any]) -> Check:
    lacking = [name for name in PROVENANCE if not provenance.get(name) and provenance.get(name) != 0]
    missing = f"missing: {', '.join(lacking)}" if lacking else ""
    found = missing or f"{len(provenance['segments'])} data segments and the configuration by digest; features and release by name"
    return _check("provenance", not lacking, found, ", ".join(PROVENANCE), "Train the model by a cycle, which records where it comes from.")


def _watched(unwatched: Sequence[str] | None, watched: str) -> Check:
    found = "not held" if unwatched is None else f"nothing to watch in: {', '.join(unwatched)}" if unwatched else f"all of {watched}"
    do = "Judge the model where outcomes vary: on more physicians, or on a longer history, of which four instants can be held out."
    return _check("drift can be watched", unwatched is not None and not unwatched, found, f"a reference for {watched}", do)


def _check(name: str, passed: bool, found: str, asked: str, do: str) -> Check:
    return Check(name, passed, found, asked, "" if passed else do)
