"""What an agent is for: a charter, as its owner signed it."""

from collections.abc import Mapping
from dataclasses import dataclass

PURPOSES = ("promotional", "medical", "service")
EXTERNAL = "external"
"""The proposer of an agent of another company, or in another language, which proposes through the gateway."""


@dataclass(frozen=True, slots=True)
class Charter:
    """An agent's charter.

    `proposer` names what computes its proposals. `purpose` is `promotional`, `medical` or `service`. `uses` says what one action takes of which resource,
    in micro-units; `{territory}` and `{product}` in a resource's name are filled in. `floor` is the least number of actions a cycle that a pilot is
    promised. `expires` is in UTC microseconds. `settings` are the proposer's own. `rules` is the charter's text, from the file `where`, if it holds rows or
    limits that this agent alone is bound by, else empty. `reads` are the facts of HCPs that the agent is shown.
    """

    agent: str
    proposer: str
    objective: str
    purpose: str
    owner: str
    watchers: tuple[str, ...]
    channels: tuple[str, ...]
    products: tuple[str, ...]
    most_per_hcp: int
    expires: int
    floor: int
    uses: Mapping[str, int]
    settings: Mapping[str, str | int]
    rules: str = ""
    where: str = ""
    reads: tuple[str, ...] = ()
