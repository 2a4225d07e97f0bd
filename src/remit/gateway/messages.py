"""What agents and the gateway say to each other: data from an untrusted party, of bounded size, of known types, without control characters, never executed."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from remit.gateway.between import Asked
from remit.gateway.clerk import Answer
from remit.gateway.errors import GatewayError
from remit.gateway.reported import Outcome, Reported
from remit.terms.encoding import MICRO
from remit.terms.errors import ClockError
from remit.terms.instants import format_instant, parse_instant

LARGEST = 1 << 20
"""Bytes that a request may have."""
MOST = 500
"""Proposals that a request may carry."""

_Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:\-]{1,64}$")]
_Kind = Annotated[str, Meta(pattern=r"^[a-z_]{1,40}$")]
_Value = Annotated[float, Meta(ge=0, le=1e9)]


class ProposalIn(Struct, forbid_unknown_fields=True, frozen=True):
    """One proposal. `key` is the agent's own name for it: sent again, it is answered again and never done twice. `value` is the expected net value of this
    action alone, in the workspace's currency (in points for medical work), with at most six decimals. `stands`: it is not decided now, but by the next cycle,
    jointly with what all others propose."""

    key: _Word
    hcp_id: _Word
    channel: _Kind
    product: _Word
    communication_type: _Kind
    value: _Value
    content_id: _Word | None = None
    stands: bool = False


class ProposalsIn(Struct, forbid_unknown_fields=True, frozen=True):
    """Proposals to be decided in their order."""

    proposals: Annotated[list[ProposalIn], Meta(min_length=1, max_length=MOST)]


class Verdict(Struct, frozen=True):
    """What the authority table says: `autonomous`, `confirm` or `forbidden`, by which rules, and why; who must say yes, until when."""

    ruling: str
    rules: list[str]
    reasons: list[str]
    roles: list[str]
    deadline: str | None
    obligations: list[str]


class InPlan(Struct, frozen=True):
    """The place in the plan, in units of value: what the action is worth net of the rent of what it takes at current prices, and why it was not chosen."""

    net: float
    rent: float
    uses: dict[str, float]
    why_not: str | None


class ProposalOut(Struct, frozen=True, omit_defaults=True):
    """What became of a proposal: `chosen` (decided, about to be handed over), `acted`, `waiting` (for a person), `outbid`, `forbidden`, `refused`,
    `withdrawn`; of one that stands `standing`, then what the next cycle made of it, also `rested` (chosen, and left out at random) and `lapsed` (it could not
    take part: `error` says why); or `rejected` where it was no proposal at all (`error` says why, and nothing was recorded)."""

    disposition: str
    key: str | None = None
    id: str | None = None
    entry: int | None = None
    decided_at: str | None = None
    verdict: Verdict | None = None
    plan: InPlan | None = None
    error: str | None = None


class ProposalsOut(Struct, frozen=True):
    """An answer to each proposal, in their order."""

    answers: list[ProposalOut]


class OutcomeIn(Struct, forbid_unknown_fields=True, frozen=True):
    """What became of an action of this agent that was handed over, and when (such as `2026-01-06T09:30:00Z`). `text` is the physician's own words, if there are
    any: it is kept sealed, and nobody but the company's safety department reads it. `entry` is the action's, as its answer gave it: it must be named of
    actions from before the cycle before last."""

    what: Literal["delivered", "opened", "clicked", "replied", "failed", "bounced", "complaint", "unsubscribed"]
    occurred_at: Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]
    text: Annotated[str, Meta(max_length=4000)] = ""
    entry: Annotated[float, Meta(ge=0, multiple_of=1)] | None = None


class OutcomeOut(Struct, frozen=True):
    """An outcome on record; its words are not told again."""

    entry: int
    action: int
    what: str
    occurred_at: str
    recorded_at: str


class Problem(Struct, frozen=True):
    """What is wrong with a request (RFC 9457): what, and what to do."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


class NoToken(Struct, frozen=True):
    """Why a token is not given (RFC 6749, section 5.2)."""

    error: str
    error_description: str


_READ, _READ_OUTCOME = msgspec.json.Decoder(ProposalsIn), msgspec.json.Decoder(OutcomeIn)


def read_proposals(data: bytes) -> list[Asked]:
    """The proposals in a request's body. Raises `GatewayError` naming the field at fault."""
    try:
        read = _READ.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise GatewayError(f"the request is no list of proposals: {error}", do="Send JSON as the description of this interface says.") from None
    return [
        Asked(each.key, each.hcp_id, each.channel, each.product, each.communication_type, round(each.value * MICRO), each.content_id, each.stands)
        for each in read.proposals
    ]


def read_outcome(data: bytes) -> Outcome:
    """The outcome in a request's body. Raises `GatewayError` naming the field at fault."""
    try:
        read = _READ_OUTCOME.decode(data)
        return Outcome(read.what, parse_instant(read.occurred_at), read.text, None if read.entry is None else int(read.entry))
    except ClockError:
        raise GatewayError("`occurred_at` is no instant such as 2026-01-06T09:30:00Z") from None
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise GatewayError(f"the request is no outcome: {error}", do="Send JSON as the description of this interface says.") from None


def told_outcome(found: Reported) -> OutcomeOut:
    """An outcome as an agent is told it."""
    body = found.body
    return OutcomeOut(found.entry, int(body["action"]), str(body["what"]), format_instant(int(body["occurred_at"])), format_instant(int(body["at"])))


def told(answer: Answer | GatewayError, key: str | None = None) -> ProposalOut:
    """An answer as an agent is told it: nothing of any fact that it was judged by."""
    if isinstance(answer, GatewayError):
        return ProposalOut("rejected", key=key, error=str(answer))
    body, payload = answer.body, answer.payload or {}
    verdict, context = payload.get("verdict", {}), payload.get("context", {})
    return ProposalOut(
        key=key,
        id=answer.id,
        disposition=answer.disposition,
        entry=answer.entry,
        decided_at=format_instant(int(body["at"])),
        verdict=_verdict(verdict, body) if verdict else None,
        plan=InPlan(context["net"] / MICRO, context["rent"] / MICRO, _units(context["uses"]), context.get("why")) if "net" in context else None,
        error=context.get("why") if answer.disposition == "lapsed" else None,
    )


def _verdict(said: Mapping[str, Any], body: Mapping[str, Any]) -> Verdict:
    deadline = body.get("deadline")
    return Verdict(
        ruling=str(said["ruling"]),
        rules=list(said["rules"]),
        reasons=list(said.get("reasons", ())),
        roles=list(said.get("roles", ())),
        deadline=None if deadline is None else format_instant(int(deadline)),
        obligations=list(said.get("obligations", ())),
    )


def _units(uses: Mapping[str, int]) -> dict[str, float]:
    return {name: amount / MICRO for name, amount in uses.items()}
