"""What is on file of one pilot."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from remit.terms.charters import Charter

STATUSES = ("idea", "pilot", "live", "stopped")
ACTING = ("pilot", "live")
"""The states in which a pilot reaches HCPs."""
DIRECTIONS = ("up", "down")
UNIVERSES = ("specialties", "territories", "deciles", "hcps")

FEEDS: Mapping[str, tuple[str, ...]] = {
    "promotional": ("alignments", "consent", "content", "hcp", "rx", "touches"),
    "medical": ("alignments", "content", "hcp", "inquiries", "touches"),
    "service": ("consent", "content", "hcp", "touches"),
}
"""The feeds that an agent under a charter sees or is judged by, by its purpose."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a pilot is measured by: its name, whether more (`up`) or less (`down`) of it is better ("": not said), and its unit."""

    name: str
    direction: str
    unit: str


@dataclass(frozen=True, slots=True)
class Universe:
    """Whom a pilot is for: `by` is `all`, one of `UNIVERSES`, or "" where nobody has said; `members` the specialties, territories or deciles, `hcps` the
    number where only that is known."""

    by: str = ""
    members: tuple[str, ...] = ()
    hcps: int | None = None

    def says(self) -> str:
        """In words."""
        if self.by == "hcps":
            return f"{self.hcps:,} HCPs"
        return f"{self.by} {', '.join(self.members)}" if self.members else self.by


@dataclass(frozen=True, slots=True)
class Pilot:
    """A pilot, as far as anybody has said. Texts are "" and lists empty where nothing was said; `holdout` and `content_review` are None then.

    `sources` names what it reads and how often that is renewed (a span, or ""); `contacts_per_cycle` how many contacts it plans; `expires` is in UTC
    microseconds; `charter` whether it acts under a charter here.
    """

    id: str
    objective: str = ""
    purpose: str = "promotional"
    metric: Metric | None = None
    owner: str = ""
    vendor: str = ""
    channels: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    universe: Universe = Universe()
    sources: Mapping[str, str] = field(default_factory=dict)
    content: str = ""
    content_review: bool | None = None
    stop_contact: str = ""
    status: str = "idea"
    contacts_per_cycle: int | None = None
    holdout: bool | None = None
    expires: int | None = None
    charter: bool = False


def of_charter(charter: Charter, now: int, every: str, currency: str, *, holdout: bool, reviewed: bool) -> Pilot:
    """What a charter says of its agent: measured by what its proposals are worth, stopped by its owner, its feeds as old as the last cycle (`every`).
    `holdout` and `reviewed` say whether the workspace leaves HCPs alone, and lets only approved content out."""
    promotional = charter.purpose == "promotional"
    metric = Metric("expected net value", "up", currency) if promotional else Metric("points", "up", "points")
    status = "stopped" if charter.expires <= now else "pilot" if charter.floor else "live"
    return Pilot(
        id=charter.agent,
        objective=charter.objective,
        purpose=charter.purpose,
        metric=metric,
        owner=charter.owner,
        vendor="",
        channels=charter.channels,
        products=charter.products,
        universe=Universe("all"),
        sources=dict.fromkeys(FEEDS[charter.purpose], every),
        content="on file for its channels and products",
        content_review=reviewed if promotional else None,
        stop_contact=", ".join(dict.fromkeys((charter.owner, *charter.watchers))),
        status=status,
        contacts_per_cycle=None,
        holdout=holdout if promotional else None,
        expires=charter.expires,
        charter=True,
    )


def slug(text: str) -> str:
    """Small letters and digits joined by hyphens; "" where nothing of `text` can be written so."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:60].strip("-")
