"""The typed dictionary of facts: everything a row of an authority table may speak of."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from remit.terms.labels import Label


class Kind(StrEnum):
    """How a fact is held. There are no floats: `number` is int64 millionths, written in a table as a decimal such as 0.9."""

    BOOL = "bool"
    INT = "int"
    NUMBER = "number"
    TEXT = "text"


class Source(StrEnum):
    """Who says so. A fact of source `model` may tighten a verdict and never loosen it."""

    PROPOSAL = "proposal"
    CHARTER = "charter"
    RECORD = "record"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry of the dictionary. Every fact may be unknown (null)."""

    name: str
    kind: Kind
    source: Source
    labels: frozenset[Label]
    says: str


def dictionary(*facts: Fact) -> Mapping[str, Fact]:
    """A dictionary of facts by name."""
    return MappingProxyType({fact.name: fact for fact in facts})


def _fact(name: str, kind: Kind, source: Source, label: Label, says: str) -> Fact:
    return Fact(name, kind, source, frozenset({label}), says)


_B, _I, _N, _T = Kind.BOOL, Kind.INT, Kind.NUMBER, Kind.TEXT
_P, _C, _R, _M = Source.PROPOSAL, Source.CHARTER, Source.RECORD, Source.MODEL
_COM = Label.COMMERCIAL

FACTS: Mapping[str, Fact] = dictionary(
    _fact("agent", _T, _P, _COM, "the agent that proposes"),
    _fact("channel", _T, _P, _COM, "`call`, `email`, `msl_visit`"),
    _fact("product", _T, _P, _COM, "the product it is about"),
    _fact("purpose", _T, _P, _COM, "`promotional`, `medical` or `service`"),
    _fact(
        "communication_type",
        _T,
        _P,
        _COM,
        "`promotional`, `consistent_with_label`, `reminder`, `disease_awareness`, `scientific_unapproved_use`, `payer_information`, `medical_reply`",
    ),
    _fact("touch", _I, _P, _COM, "1 for the agent's first touch of this kind on this HCP in this cycle, 2 for the second"),
    _fact("value", _N, _P, _COM, "expected net value, in the workspace's currency, or in points of a medical objective"),
    _fact("market", _T, _R, _COM, "the market whose rules hold, such as `US`; null where the workspace names none"),
    _fact("charter_live", _B, _C, _COM, "the agent's charter has not expired and its owner is a person on file"),
    _fact("charter_channel", _B, _C, _COM, "the charter grants this channel"),
    _fact("charter_product", _B, _C, _COM, "the charter grants this product"),
    _fact("hcp_known", _B, _R, _COM, "the HCP is in the master data"),
    _fact("hcp_stopped", _B, _R, _COM, "a stop says that this HCP is to be left alone"),
    _fact("specialty", _T, _R, _COM, "the HCP's specialty"),
    _fact("practice_size", _I, _R, _COM, "how many work in the HCP's practice"),
    _fact("rural", _B, _R, _COM, "the HCP works in the country"),
    _fact("zone", _T, _R, _COM, "the HCP's time zone, such as `America/Chicago`"),
    _fact("territory", _T, _R, _COM, "the territory in which the HCP is covered for this product and channel; null where nobody covers"),
    _fact("match_confidence", _N, _R, _COM, "0 to 1: how sure the HCP's records belong together"),
    _fact("pdrp", _B, _R, _COM, "the HCP keeps prescribing from reps under the AMA's programme"),
    _fact("aligned", _B, _R, _COM, "a rep or MSL of the channel's sales forces covers this HCP for this product now"),
    _fact("consent", _T, _R, _COM, "`opt_in` or `opt_out` for this channel and purpose, as of now"),
    _fact("held_out", _B, _R, _COM, "the HCP is left alone by promotion, so that what it changes can be measured"),
    _fact("channel_held_out", _B, _R, _COM, "this channel leaves the HCP out of its promotion, so that what the channel changes can be measured"),
    _fact("consent_feed_age_h", _I, _R, _COM, "hours since the consent feed last loaded whole"),
    _fact("alignment_feed_age_h", _I, _R, _COM, "hours since the alignment feed last loaded whole"),
    _fact("rx_age_h", _I, _R, Label.PDRP, "hours since the end of the newest prescription period known for this product and HCP"),
    _fact("rx_feed_age_h", _I, _R, _COM, "hours since the prescription feed last loaded whole"),
    _fact("content_feed_age_h", _I, _R, _COM, "hours since the content feed last loaded whole"),
    _fact("touches_feed_age_h", _I, _R, _COM, "hours since the feed of touches last loaded whole"),
    _fact("hcp_feed_age_h", _I, _R, _COM, "hours since the master data last loaded whole"),
    _fact("contacts_7d", _I, _R, _COM, "contacts of any kind in the 7 days before now"),
    _fact("contacts_28d", _I, _R, _COM, "contacts of any kind in the 28 days before now"),
    _fact("channel_contacts_28d", _I, _R, _COM, "contacts in this channel in the 28 days before now"),
    _fact("channel_contacts_365d", _I, _R, _COM, "contacts in this channel in the 365 days before now"),
    _fact("promotional_contacts_28d", _I, _R, _COM, "promotional contacts in any channel in the 28 days before now"),
    _fact("agent_contacts_28d", _I, _R, _COM, "contacts that this agent asked for in the 28 days before now"),
    _fact("agents_28d", _I, _R, _COM, "how many different agents had a contact in the 28 days before now; what people do by themselves is no agent's"),
    _fact("content_id", _T, _P, _COM, "the content that goes with it"),
    _fact("content_status", _T, _R, _COM, "`approved`, `draft` or `withdrawn`, as of now"),
    _fact("content_channel", _B, _R, _COM, "the content is on file for this channel and product, whatever its status"),
    _fact("content_expires_h", _I, _R, _COM, "hours until the content expires; null if it has no end"),
    _fact("content_risk", _T, _R, _COM, "how much can go wrong with the content: `low`, `medium` or `high`; null where the content feed does not say"),
    _fact("indication_match", _B, _R, _COM, "the product's label in this market covers all that the content is about; null where either is not said"),
    _fact("open_inquiries", _I, _R, Label.INQUIRY, "questions this HCP has asked about this product that have no answer yet"),
    _fact(
        "supply_cover_weeks",
        _N,
        _R,
        Label.SUPPLY,
        "for how many weeks the stock of this product lasts in this market; null where the feed `supply` does not say",
    ),
    _fact("lead_score", _N, _M, Label.PDRP, "expected outcome units of the next period"),
    _fact("lead_model", _T, _M, _COM, "the digest of the lead score in use"),
    _fact("response_model", _T, _M, _COM, "the digest of the response model in use"),
    _fact("model_age_h", _I, _M, _COM, "hours since the end of the data that trained the response model"),
    _fact("model_confidence", _N, _M, Label.PDRP, "0 to 1: how sure the response model is that this touch brings anything; null where it has no estimate"),
    _fact(
        "model_drift", _T, _M, _COM, "`none`, `raise`, `confirm` or `stop`: the most that drift of the models in use asks for; null where one is not watched"
    ),
)
"""The facts of the cycle. A table that names any other is refused."""

_LEARNED = ("hcp", "products", "rx", "brick_rx", "touches", "inquiries", "formulary")
FEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "market": (),
        "hcp_known": ("hcp",),
        **dict.fromkeys(("specialty", "practice_size", "rural", "zone", "match_confidence", "pdrp", "hcp_feed_age_h"), ("hcp",)),
        **dict.fromkeys(("aligned", "territory"), ("alignments",)),
        "consent": ("consent",),
        "consent_feed_age_h": ("consent",),
        "alignment_feed_age_h": ("alignments",),
        "rx_age_h": ("rx", "brick_rx"),
        "rx_feed_age_h": ("rx", "brick_rx"),
        **dict.fromkeys(("contacts_7d", "contacts_28d", "channel_contacts_28d", "channel_contacts_365d", "promotional_contacts_28d"), ("touches",)),
        **dict.fromkeys(("agent_contacts_28d", "touches_feed_age_h"), ("touches",)),
        "content_feed_age_h": ("content",),
        "supply_cover_weeks": ("supply",),
        "open_inquiries": ("inquiries",),
        **dict.fromkeys(("lead_score", "model_confidence"), _LEARNED),
    }
)
"""The facts that a charter may let an agent read, and the tables that each comes from. Not who is held out, or an agent could work around what measures it; not
the words of a proposal or a charter, which it knows; not how many other agents there are."""

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "touch": "1, 2, ...",
        "value": "currency, or points",
        "practice_size": "people",
        "match_confidence": "0 to 1",
        **{name: "hours" for name in FACTS if name.endswith("_h")},
        **{name: "contacts" for name in FACTS if "contacts_" in name},
        "agents_28d": "agents",
        "open_inquiries": "questions",
        "supply_cover_weeks": "weeks",
        "lead_score": "outcome units",
        "model_confidence": "0 to 1",
    }
)
"""What numbers are counted in."""

_OFF_FILE = "the HCP is not in the master data"
_NO_CHARTER = "the agent has no charter"
_NEVER_LOADED = "that feed never loaded whole"
_CONTENT = "there is no such content on file for this channel and product"
UNKNOWN: Mapping[str, str] = MappingProxyType(
    {
        "content_id": "it carries no content",
        "market": "the workspace names none",
        **dict.fromkeys(("charter_live", "charter_channel", "charter_product"), _NO_CHARTER),
        **dict.fromkeys(("specialty", "zone", "match_confidence", "pdrp"), _OFF_FILE),
        **dict.fromkeys(("practice_size", "rural"), f"{_OFF_FILE}, or these do not say"),
        "territory": "nobody covers the HCP for this product in this channel",
        "consent": "no statement for this channel and purpose is in force",
        **dict.fromkeys(("consent_feed_age_h", "alignment_feed_age_h", "content_feed_age_h", "touches_feed_age_h", "hcp_feed_age_h"), _NEVER_LOADED),
        "rx_age_h": "no period is known for this product and HCP",
        "rx_feed_age_h": "neither `rx` nor `brick_rx` ever loaded whole",
        "content_status": _CONTENT,
        "content_expires_h": f"it has no end, or {_CONTENT}",
        "content_risk": f"the feed does not say, or {_CONTENT}",
        "indication_match": f"either is not said, or {_CONTENT}",
        "supply_cover_weeks": "the feed `supply` does not say so for this product and market",
        "lead_score": "the HCP is not in the master data, or the product is not ours",
        **dict.fromkeys(("lead_model", "response_model", "model_age_h"), "none is in use"),
        "model_confidence": "the response model has no estimate of this touch",
        "model_drift": "one of the models cannot be watched",
    }
)
"""Where each fact is unknown (null); those that are not here are always known."""
