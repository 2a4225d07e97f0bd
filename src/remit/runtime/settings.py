"""`remit.toml`: what a workspace is, in one page."""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from remit.gateway.reading import Licence
from remit.intake import FEEDS
from remit.runtime.errors import WorkspaceError
from remit.runtime.oversight import Oversight, read_oversight
from remit.runtime.stores.postgresql import read_url_env
from remit.terms.documents import Document
from remit.terms.encoding import MICRO

WORKSPACE_VERSION = 1
RESPONSES = ("history", "panel")
"""The estimators of response."""
BY = ("hcp", "practice", "brick", "peers")
"""What a holdout may be drawn by."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel.

    Whether its action is a call that carries details, what one action takes of which resource (micro-units; `{territory}` and `{product}`
    are filled in), the most contacts an HCP may have through it in one cycle, the sales forces whose alignment says who covers whom (none: a machine acts),
    and whether its actions are listed by `rep` or by `channel`."""

    name: str
    carries_details: bool
    uses: Mapping[str, int]
    most_per_hcp: int
    sales_forces: tuple[str, ...]
    list_by: str


@dataclass(frozen=True, slots=True)
class Holdout:
    """An experiment: `share` (millionths) of the HCPs, drawn one by one or `by` practice, brick or cluster of peers, are left alone by promotion; of each
    of `channels`, its share is left out by that channel alone."""

    name: str
    share: int
    by: str
    channels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Market:
    """The market whose rules hold, by two letters; `owner` answers for its rules here, and those in the roles `confirm` give the yes that they ask for."""

    name: str
    owner: str
    confirm: tuple[str, ...]

    @property
    def pack(self) -> str:
        """The file with its rules, from the workspace's root."""
        return f"packs/{self.name.lower()}.yaml"


@dataclass(frozen=True, slots=True)
class Settings:
    """A workspace's settings. Spans are texts such as `1 week`; instants are UTC microseconds; `positions` are millionths.

    Models learn from the `history` before now, less the newest `settle`, whose reports still grow. `horizon` is over how many periods a touch's effect is
    counted; `train_on` how many HCPs at most are learnt from; `response` the estimator: `history` frees touches of what history explains, `panel` compares
    an HCP's weeks with each other and finds how fast touches fade. `ledger_url_env` names the environment variable with the URL of the log's database.
    `licences` say of a feed from whom it is licensed, and which agents of others may read what comes from it.
    """

    name: str
    currency: str
    zone: str
    seed: int
    stepped: bool
    first: int
    every: str
    per_cycle: int
    per_window: int
    window: str
    positions: tuple[int, ...]
    train_every: str
    history: str
    settle: str
    horizon: int
    train_on: int
    response: str
    channels: Mapping[str, Channel]
    holdout: Holdout | None = None
    oversight: Oversight = field(default_factory=Oversight)
    market: Market | None = None
    ledger_url_env: str = ""
    licences: Mapping[str, Licence] = field(default_factory=dict)


def read_settings(text: str, where: str) -> Settings:
    """The settings in a TOML text. Raises `WorkspaceError` with every fault; a workspace of a newer version is refused."""
    try:
        document = Document(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise WorkspaceError("the file is not TOML", where=where, faults=[str(error)]) from None
    check_version(document.whole("version"), where)
    clock, contacts, training = document.table("clock"), document.table("contacts"), document.table("training")
    channels = {name: _channel(name, channel) for name, channel in document.tables("channels").items()}
    settings = Settings(
        name=document.text("name"),
        currency=document.text("currency"),
        zone=document.text("zone"),
        seed=document.whole("seed"),
        stepped=clock.text("mode", among=("stepped", "system")) == "stepped",
        first=clock.instant("first"),
        every=clock.span("every"),
        per_cycle=contacts.whole("per_cycle"),
        per_window=contacts.whole("per_window"),
        window=contacts.span("window"),
        positions=_positions(contacts),
        train_every=training.span("every"),
        history=training.span("history"),
        settle=training.span("settle"),
        horizon=training.whole("horizon", least=1),
        train_on=training.whole("train_on", least=1),
        response=training.text("response", "history", among=RESPONSES),
        channels=channels,
        holdout=_holdout(document.table("holdout"), channels) if "holdout" in document.names() else None,
        oversight=read_oversight(document.table("models", optional=True)),
        market=_market(document.table("market")) if "market" in document.names() else None,
        ledger_url_env=read_url_env(document.table("ledger", optional=True)),
        licences=_licences(document),
    )
    for part in (clock, contacts, training, document):
        part.close()
    _check_zone(document, settings.zone)
    document.refuse(WorkspaceError, "the settings cannot be used")
    return settings


def check_version(version: int, where: str) -> None:
    """Raises `WorkspaceError` unless this release reads workspaces of `version`."""
    if version > WORKSPACE_VERSION:
        raise WorkspaceError(
            f"the workspace has version {version}; this release reads up to {WORKSPACE_VERSION}", where=where, do="Use a newer release of Remit."
        )
    if version < WORKSPACE_VERSION:
        raise WorkspaceError(
            f"the workspace has version {version}; this release needs {WORKSPACE_VERSION}", where=where, do="Run `remit migrate`, which moves it."
        )


def _licences(document: Document) -> dict[str, Licence]:
    licences = {}
    for feed, licence in document.tables("licences").items() if "licences" in document.names() else ():
        licences[feed] = Licence(licence.text("vendor"), licence.texts("readers", ()))
        licence.close()
        if feed not in FEEDS:
            document.fault(f"licences.{feed}", f"is no feed; they are {', '.join(FEEDS)}")
    return licences


def _market(document: Document) -> Market:
    market = Market(document.text("name"), document.text("owner"), document.texts("confirm", ()))
    if market.name and not re.fullmatch(r"[A-Z]{2}", market.name):
        document.fault("name", "must be two capital letters, such as US")
    document.close()
    return market


def _channel(name: str, document: Document) -> Channel:
    channel = Channel(
        name=name,
        carries_details=document.flag("carries_details", False),
        uses=document.amounts("uses"),
        most_per_hcp=document.whole("most_per_hcp", least=1),
        sales_forces=document.texts("sales_forces", ()),
        list_by=document.text("list_by", among=("rep", "channel")),
    )
    document.close()
    return channel


def _holdout(document: Document, known: Collection[str]) -> Holdout:
    holdout = Holdout(document.text("name"), document.micro("share"), document.text("by", "hcp", among=BY), document.amounts("channels"))
    for key, share in {"share": holdout.share, **{f"channels.{name}": share for name, share in holdout.channels.items()}}.items():
        if not 0 < share < MICRO:
            document.fault(key, "must lie between 0 and 1, such as 0.1")
    for name in sorted(set(holdout.channels) - set(known)):
        document.fault(f"channels.{name}", f"is no channel of this file; they are {', '.join(sorted(known))}")
    if not re.fullmatch(r"[a-z0-9-]{1,40}", holdout.name):
        document.fault("name", "must be 1 to 40 of a-z 0-9 -")
    document.close()
    return holdout


def _positions(contacts: Document) -> tuple[int, ...]:
    given = contacts.raw("positions")
    if (
        isinstance(given, list)
        and given
        and all(isinstance(worth, (int, float)) and 0 < worth <= 1 for worth in given)
        and given == sorted(given, reverse=True)
    ):
        return tuple(round(worth * MICRO) for worth in given)
    contacts.fault("positions", "must be a list of falling numbers above 0 and at most 1, such as [1.0, 0.6, 0.35]")
    return (MICRO,)


def _check_zone(document: Document, zone: str) -> None:
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        document.fault("zone", f"is `{zone}`, which is not a time zone of the IANA list")
