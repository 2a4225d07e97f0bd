"""Facts and verdicts in the words of the business."""

from collections.abc import Iterable, Mapping, Sequence

from remit.authority.conditions import Facts, Value
from remit.terms.encoding import MICRO
from remit.terms.facts import Fact, Kind
from remit.terms.verdicts import Ruling, Verdict

_CHANNELS = {"call": "A call", "email": "An e-mail", "msl_visit": "A medical visit"}
_NOUNS = {
    "value": "the expected value",
    "match_confidence": "the confidence that the HCP's records belong together",
    "consent_feed_age_h": "the age of the consent feed",
    "alignment_feed_age_h": "the age of the alignment feed",
    "rx_age_h": "the age of the newest prescriptions known",
    "rx_feed_age_h": "the age of the prescription feed",
    "content_feed_age_h": "the age of the content feed",
    "touches_feed_age_h": "the age of the feed of touches",
    "hcp_feed_age_h": "the age of the master data",
    "zone": "the HCP's time zone",
    "practice_size": "the size of the HCP's practice",
    "contacts_28d": "the number of contacts in 28 days",
    "channel_contacts_28d": "the number of contacts in this channel in 28 days",
    "promotional_contacts_28d": "the number of promotional contacts in 28 days",
    "agent_contacts_28d": "the number of the agent's contacts in 28 days",
    "agents_28d": "the number of agents with a contact in 28 days",
    "content_status": "the content's status",
    "content_expires_h": "the time until the content expires",
    "content_risk": "the content's risk",
    "supply_cover_weeks": "the weeks that stock lasts",
    "open_inquiries": "the number of open questions",
    "lead_score": "the lead score",
    "model_age_h": "the age of the response model",
    "model_confidence": "the response model's confidence",
    "model_drift": "what drift of the models asks for",
}
_CLAUSES = {
    "charter_live": ("the agent's charter is in force", "the agent's charter has expired, or its owner has left"),
    "charter_channel": ("the charter grants this channel", "the charter does not grant this channel"),
    "charter_product": ("the charter grants this product", "the charter does not grant this product"),
    "hcp_known": ("the HCP is in the master data", "the HCP is not in the master data"),
    "rural": ("the HCP works in the country", "the HCP does not work in the country"),
    "pdrp": ("the HCP keeps prescribing from reps", "the HCP does not keep prescribing from reps"),
    "aligned": ("somebody covers this HCP for this product", "nobody covers this HCP for this product"),
    "held_out": ("the HCP is held out of promotion", "the HCP is not held out of promotion"),
    "channel_held_out": ("the HCP is held out of this channel", "the HCP is not held out of this channel"),
    "content_channel": ("the content is approved for this channel and product", "the content is not approved for this channel and product"),
    "indication_match": ("the label covers what the content is about", "the label does not cover what the content is about"),
}
_SUBJECT = ("channel", "agent", "product")


def proposal_in_words(facts: Facts, told: Iterable[str], dictionary: Mapping[str, Fact]) -> str:
    """A proposal in words: what, whose, about which product, and then each of the facts `told`."""
    parts = [_channel(facts)]
    if "agent" in facts:
        parts.append("of an agent that is not known" if facts["agent"] is None else f"of the agent `{facts['agent']}`")
    if "product" in facts:
        parts.append("about a product that is not known" if facts["product"] is None else f"about `{facts['product']}`")
    where = [fact_in_words(name, facts[name], dictionary[name]) for name in dict.fromkeys(told) if name not in _SUBJECT]
    return " ".join(parts) + (f", where {listed(where)}," if where else "")


def fact_in_words(name: str, value: Value | None, fact: Fact) -> str:
    """One fact as a clause: `consent is not known`, `the age of the consent feed is 193 hours`."""
    if fact.kind is Kind.BOOL:
        yes, no = _CLAUSES.get(name, (fact.says, f"it is not so that {fact.says}"))
        return f"it is not known whether {yes}" if value is None else yes if value else no
    noun = _NOUNS.get(name, name.removesuffix("_h").replace("_", " "))
    return f"{noun} is {_amount(name, value, fact.kind)}"


def verdict_in_words(verdict: Verdict) -> str:
    """What becomes of it, and by which rows."""
    rows = (
        f"by the {'row' if len(verdict.rules) == 1 else 'rows'} {listed([f'`{rule}`' for rule in verdict.rules])}" if verdict.rules else "as no row allows it"
    )
    match verdict.ruling:
        case Ruling.AUTONOMOUS:
            return f"is autonomous {rows}"
        case Ruling.CONFIRM:
            return f"waits for a yes of {listed(verdict.roles)} {rows}"
    return f"is forbidden {rows}"


def rows_in_words(rows: Sequence[str]) -> str:
    """`the row a`, `the rows a and b`."""
    return f"the {'row' if len(rows) == 1 else 'rows'} {listed([f'`{row}`' for row in rows])}"


def _channel(facts: Facts) -> str:
    channel = facts.get("channel")
    if channel is None:
        return "A proposal in a channel that is not known" if "channel" in facts else "A proposal"
    return _CHANNELS.get(str(channel), f"A contact by `{channel}`")


def _amount(name: str, value: Value | None, kind: Kind) -> str:
    if value is None:
        return "not known"
    if kind is Kind.TEXT:
        return f"`{value}`"
    amount = int(value)
    if kind is Kind.NUMBER:
        whole, rest = divmod(abs(amount), MICRO)
        return f"{'-' if amount < 0 else ''}{whole}" + (f".{rest:06d}".rstrip("0") if rest else "")
    return f"{amount} {'hour' if amount == 1 else 'hours'}" if name.endswith("_h") else str(amount)


def listed(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
