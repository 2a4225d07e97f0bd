"""`[models]` in `remit.toml`: who watches the models, who signs for them, and what is asked of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from remit.models import drift, gates
from remit.terms.documents import Document
from remit.terms.encoding import MICRO
from remit.terms.people import People


@dataclass(frozen=True, slots=True)
class Oversight:
    """The `watcher` is the id of a person, who is told of drift (empty: nobody yet); `signers` are the two roles that sign. `limits` are what drift is
    measured by, `required` what the gate asks for."""

    watcher: str = ""
    signers: tuple[str, ...] = ()
    limits: drift.Limits = field(default_factory=drift.Limits)
    required: gates.Required = field(default_factory=gates.Required)

    def faults(self, people: People) -> list[str]:
        """What does not fit the people on file."""
        held = {role for person in people.values() for role in person.roles}
        faults = [f"`models.watcher` is `{self.watcher}`, who is not in people.yaml"] if self.watcher and self.watcher not in people else []
        return faults + [f"`models.signers` names `{role}`, a role that nobody in people.yaml holds" for role in self.signers if role not in held]


def read_oversight(document: Document) -> Oversight:
    """The section, every key of which may be left out; faults are noted in `document`."""
    signers, watcher = document.texts("signers", ()), document.text("watcher", "")
    if signers and len(set(signers)) != 2:
        document.fault("signers", 'must name two different roles, such as ["data-steward", "medical"]')
    share = document.micro("selected_share", int(drift.Limits().share * MICRO)) / MICRO
    alarms = document.micro("false_alarms_a_year", int(drift.Limits().alarms_a_year * MICRO)) / MICRO
    for key, value, most in (("selected_share", share, 1.0), ("false_alarms_a_year", alarms, 12.0)):
        if not 0 < value <= most:
            document.fault(key, f"must lie above 0 and be at most {most:g}")
    sizes = document.table("thresholds", optional=True)
    limits = drift.Limits(share=share, alarms_a_year=alarms, sizes={name: _sizes(sizes, name, default) for name, default in drift.DEFAULT_SIZES.items()})
    sizes.close()
    protected = document.texts("protected", gates.Required().protected)
    document.close()
    return Oversight(watcher, signers, limits, gates.Required(protected=protected))


def _sizes(document: Document, name: str, default: drift.Sizes) -> drift.Sizes:
    given = document.raw(name)
    if given is None:
        return default
    if not isinstance(given, Mapping) or not set(given) <= {"raise", "confirm", "stop"} or "raise" not in given:
        document.fault(name, "must be a table such as { raise = 0.06, confirm = 0.1, stop = 0.2 }; confirm and stop may be left out")
        return default
    numbers = [given.get(key) for key in ("raise", "confirm", "stop")]
    known = [number for number in numbers if number is not None]
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) and number > 0 for number in known) or known != sorted(known):
        document.fault(name, "must be positive numbers that rise from raise to confirm to stop")
        return default
    raised, confirm, stop = (None if number is None else float(number) for number in numbers)
    return drift.Sizes(raised or default.raised, confirm, stop)
