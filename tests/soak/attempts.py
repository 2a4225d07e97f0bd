"""What is attempted: the same for the same seed and number, in whichever process, also after that was killed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from remit.gateway import Asked
from remit.runtime.workspace import Workspace
from remit.terms.encoding import MICRO
from tests.soak.world import VENDORS

WORKERS = 4
SHARED = 23
"""Every so many attempts one is made by two workers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is about: HCPs, approved content by channel and product, the seed, and how many attempts."""

    hcps: Sequence[str]
    content: Mapping[str, Sequence[str]]
    seed: int
    attempts: int

    def write(self, folder: Path) -> None:
        (folder / "plan.json").write_text(json.dumps(asdict(self)))

    def mine(self, worker: int) -> list[int]:
        """The attempts of a worker, in order."""
        return [number for number in range(self.attempts) if number % WORKERS == worker or (number % SHARED == 0 and (number + 1) % WORKERS == worker)]

    def attempt(self, number: int) -> "Attempt":
        """One attempt."""
        chance = Random(f"{self.seed}-{number}")  # noqa: S311 - a draw that can be drawn again
        agent = chance.choice([*VENDORS, *VENDORS, "email", "msl"])
        channel = VENDORS[agent][0] if agent in VENDORS else "email" if agent == "email" else "msl_visit"
        product = chance.choice(["alpha", "beta"])
        kind = "scientific_exchange" if agent == "msl" else "promotional"
        content = chance.choice(self.content.get(f"{channel}/{product}") or ["none"]) if agent != "msl" else None
        value = chance.choice([1, 8, 20, 60, 90, 150, 199, 199, 260]) * MICRO if chance.random() < 0.97 else 900 * MICRO
        asked = Asked(f"a-{number}", chance.choice(self.hcps), channel, product, kind, value, content)
        return Attempt(number, agent, asked, withdrawn=chance.random() < 0.2)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something asked by an agent, which is `withdrawn` at once if it has not been acted on."""

    number: int
    agent: str
    asked: Asked
    withdrawn: bool


def read_plan(folder: Path) -> Plan:
    """The plan of a run."""
    return Plan(**json.loads((folder / "plan.json").read_text()))


def answered(path: Path) -> list[dict[str, Any]]:
    """What a worker has noted; a line that was not finished when it was killed is none."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def plan_for(workspace: Workspace, seed: int, attempts: int) -> Plan:
    """A plan about everybody and everything that feeds tell of: content that is approved, and now and then some that is not."""
    feeds = workspace.feeds
    hcps = pl.read_csv(feeds / "hcp" / "history.csv", infer_schema=False)["hcp_id"].unique().sort().to_list()
    rows = pl.read_csv(feeds / "content" / "history.csv", infer_schema=False).filter(pl.col("valid_to").is_null(), communication_type="promotional")
    content: dict[str, list[str]] = {}
    for row in rows.unique(["content_id", "product", "channel"]).sort("content_id").iter_rows(named=True):
        content.setdefault(f"{row['channel']}/{row['product']}", []).append(row["content_id"])
    return Plan(hcps, content, seed, attempts)
