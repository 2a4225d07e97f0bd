"""A world as a person describes it: one YAML file, every key checked, every fault told at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from zoneinfo import available_timezones

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from remit.terms.documents import Document
from remit.terms.encoding import MICRO
from remit.worlds.errors import WorldError

CHANNELS = ("call", "email")
"""The channels through which promotion reaches a physician."""
TIERS = ("preferred", "covered", "restricted")
FEEDS = ("rx", "brick_rx", "touches", "consent", "hcp", "alignments", "formulary", "inquiries", "content", "products", "resources")
LEVELS = ("hcp", "brick")
"""Whose prescriptions are told: each physician's, or only those of a brick together."""
MOST_WEEKS_LATE = 26


@dataclass(frozen=True, slots=True)
class Kind:
    """A specialty or a practice population: its share of the physicians (or practices), and how its volume and response compare with the rest."""

    name: str
    share: float
    volume: float
    response: float


@dataclass(frozen=True, slots=True)
class Product:
    """A product: `share` of its basket when the history begins, `trend` a week, `uptake` weeks to half of it for one that launches at week `launch`."""

    name: str
    own: bool
    basket: str
    share: float
    trend: float
    value_minor: int
    launch: int | None
    uptake: float


@dataclass(frozen=True, slots=True)
class Channel:
    """What a channel does in truth.

    Saturated promotion multiplies prescriptions by 1 + `effect` for the median responder. `spread` is the standard deviation of the logarithm of the
    response between physicians beyond what specialty, population and volume say, `none` the share whom nothing moves, `by_volume` the power of
    relative volume that response follows. A stock of `saturation` touches gives half the effect; a stock keeps `carry_over` of itself each week.
    `shown` is how plainly engagement shows the response (0: not at all). `opt_in` and `opt_out` are shares, `leaving` the share who opt out in a week.
    """

    name: str
    effect: float
    spread: float
    none: float
    by_volume: float
    saturation: float
    carry_over: float
    shown: float
    cost_minor: int
    opt_in: float
    opt_out: float
    leaving: float
    planned: float


@dataclass(frozen=True, slots=True)
class Force:
    """A sales force: reps or MSLs with a territory of `physicians` each, `hours` or calls a week, for some products and specialties (no specialties: all)."""

    name: str
    channel: str
    products: tuple[str, ...]
    specialties: tuple[str, ...]
    physicians: int
    visits: int
    vacant: float
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Peers:
    """A network of `degree` neighbours, mostly of the same practice or specialty; neighbours' lift adds `influence` of its mean."""

    degree: int
    influence: float


@dataclass(frozen=True, slots=True)
class Reports:
    """How prescriptions become known: `late[k]` is the share first told k weeks after the week's end; `covered` the share of physicians told of at all;
    `taken_back` the chance that a count is lowered by one in a restatement. At the `level` of a `brick` nobody is told of alone, but whole practices of
    about `physicians_each` together."""

    late: Mapping[int, float]
    covered: float
    taken_back: float
    level: str
    physicians_each: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens in week `week` of the run (0 is the first cycle) and, where it lasts, for `weeks`."""

    kind: str
    week: int
    weeks: int
    product: str
    feed: str
    tier: str
    share: float
    factor: float


@dataclass(frozen=True, slots=True)
class Description:
    """A world before it has people: what `read_world` gives. Money is in minor units, shares lie between 0 and 1, weeks are counted from the first cycle.

    Under the plain call plan a call is `exp(tours)` times as likely in a week in which a rep tours the physician's brick, one week in four; e-mails go out in
    rounds of their own, likewise.
    """

    name: str
    says: str
    market: str
    currency: str
    zones: tuple[str, ...]
    physicians: int
    history: int
    volume: float
    volume_spread: float
    season: float
    practices: tuple[int, ...]
    rural: float
    pdrp: float
    doubtful: float
    no_see: float
    approved: float
    plan_by_volume: float
    tours: float
    drift: float
    tolerance: float
    fatigue: float
    topics: Mapping[str, float]
    topic_spread: float
    sends: float
    budget_minor: int
    supply: Mapping[str, float]
    inquiries: float
    specialties: tuple[Kind, ...]
    populations: tuple[Kind, ...]
    products: tuple[Product, ...]
    channels: tuple[Channel, ...]
    forces: tuple[Force, ...]
    peers: Peers
    reports: Reports
    events: tuple[Event, ...]

    @property
    def own(self) -> tuple[int, ...]:
        """The places of our own products among all."""
        return tuple(place for place, product in enumerate(self.products) if product.own)


def read_world(text: str, where: str) -> Description:
    """The description in a YAML text. Raises `WorldError` with every fault."""
    try:
        body = YAML(typ="safe", pure=True).load(StringIO(text))
    except YAMLError as error:
        raise WorldError("the file is not YAML", where=where, faults=[" ".join(str(error).split())]) from None
    document = Document(body, where)
    market, people, promotion = document.table("market"), document.table("physicians"), document.table("promotion")
    description = Description(
        name=document.text("name"),
        says=document.text("says"),
        market=market.text("country"),
        currency=market.text("currency"),
        zones=market.texts("zones"),
        physicians=people.whole("count", least=10),
        history=document.whole("history_weeks", 52, least=26),
        volume=_number(people, "volume", least=0.01),
        volume_spread=_number(people, "volume_spread"),
        season=_number(market, "season", 0.0, most=0.9),
        practices=_sizes(people),
        rural=_share(people, "rural", 0.2),
        pdrp=_share(people, "pdrp", 0.04),
        doubtful=_share(people, "doubtful_match", 0.06),
        no_see=_share(people, "no_see", 0.1),
        approved=_share(promotion, "confirmed", 0.9),
        plan_by_volume=_number(promotion, "plan_by_volume", 1.0),
        tours=_number(promotion, "tours", 0.0, most=10.0),
        drift=_number(promotion, "response_drift", 0.0, most=0.9),
        tolerance=_number(promotion, "tolerance", 6.0),
        fatigue=_number(promotion, "fatigue", 0.05, most=1.0),
        topics=_topics(promotion),
        topic_spread=_number(promotion, "topic_spread", 0.0),
        sends=_number(promotion, "sends_per_physician", 0.2),
        budget_minor=promotion.whole("email_budget_minor_per_physician", 1_000_000),
        supply=_supply(promotion.table("supply_per_physician", optional=True)),
        inquiries=_number(promotion, "inquiries_per_physician_year", 0.13),
        specialties=_kinds(document, "specialties"),
        populations=_kinds(document, "populations"),
        products=tuple(_product(name, table) for name, table in document.tables("products").items()),
        channels=tuple(_channel(name, table) for name, table in document.tables("channels").items()),
        forces=tuple(_force(name, table) for name, table in document.tables("forces").items()),
        peers=_peers(document.table("peers", optional=True)),
        reports=_reports(document.table("reports")),
        events=_events(document),
    )
    for part in (market, people, promotion, document):
        part.close()
    _check(document, description)
    document.refuse(WorldError, "the world cannot be built")
    return description


def _number(document: Document, key: str, default: float | None = None, *, least: float = 0.0, most: float = float("inf")) -> float:
    value = document.raw(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most or value == float("inf"):
        bound = f"from {least:g} to {most:g}" if most < float("inf") else f"of at least {least:g}"
        document.fault(key, f"must be a number {bound}" if key in document.names() else "is missing")
        return least
    return float(value)


def _share(document: Document, key: str, default: float | None = None) -> float:
    return _number(document, key, default, most=1.0)


def _sizes(document: Document) -> tuple[int, ...]:
    sizes = document.raw("practice_sizes") if "practice_sizes" in document.names() else [1, 1, 2, 3, 4, 6, 10]
    if isinstance(sizes, list) and sizes and all(isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in sizes):
        return tuple(sizes)
    document.fault("practice_sizes", "must be a list of whole numbers, such as [1, 2, 4]")
    return (1,)


def _topics(document: Document) -> dict[str, float]:
    table = document.table("topics", optional=True)
    return {name: _number(table, name) for name in table.names()} or {"efficacy": 1.0}


def _supply(table: Document) -> dict[str, float]:
    return {name: _number(table, name) for name in table.names()}


def _kinds(document: Document, key: str) -> tuple[Kind, ...]:
    kinds = []
    for name, table in document.tables(key).items():
        kinds.append(Kind(name, _share(table, "share"), _number(table, "volume", 1.0), _number(table, "response", 1.0)))
        table.close()
    if not kinds or abs(sum(kind.share for kind in kinds) - 1) > 1e-6:
        document.fault(key, "must have shares that add up to 1")
    return tuple(kinds)


def _product(name: str, table: Document) -> Product:
    launch = table.raw("launch_week")
    if launch is not None and (isinstance(launch, bool) or not isinstance(launch, int)):
        table.fault("launch_week", "must be a whole number of weeks from the first cycle, below 0 for the past")
        launch = None
    product = Product(
        name=name,
        own=table.flag("own", False),
        basket=table.text("basket", "basket-1"),
        share=_share(table, "share"),
        trend=_number(table, "trend", 0.0, least=-0.05, most=0.05),
        value_minor=table.whole("value_minor", 0),
        launch=launch,
        uptake=_number(table, "uptake_weeks", 20.0, least=1.0),
    )
    table.close()
    return product


def _channel(name: str, table: Document) -> Channel:
    if name not in CHANNELS:
        table.fault("", f"is not a channel of worlds; they are {' and '.join(CHANNELS)}")
    consent = table.table("consent")
    channel = Channel(
        name=name,
        effect=_number(table, "effect"),
        spread=_number(table, "spread", 0.0),
        none=_share(table, "none", 0.0),
        by_volume=_number(table, "by_volume", 0.0, least=-3.0, most=3.0),
        saturation=_number(table, "saturation", 2.0, least=0.01),
        carry_over=_number(table, "carry_over", 0.7, most=0.99),
        shown=_number(table, "shown", 0.0),
        cost_minor=table.whole("cost_minor"),
        opt_in=_share(consent, "opt_in"),
        opt_out=_share(consent, "opt_out"),
        leaving=_share(consent, "leaving_a_week", 0.0005),
        planned=_number(table, "planned_a_week", 0.1),
    )
    if channel.opt_in + channel.opt_out > 1 + 1e-9:
        consent.fault("", "has shares that add up to more than 1")
    consent.close()
    table.close()
    return channel


def _force(name: str, table: Document) -> Force:
    force = Force(
        name=name,
        channel=table.text("channel", among=("call", "msl_visit")),
        products=table.texts("products"),
        specialties=table.texts("specialties", ()),
        physicians=table.whole("physicians_each", least=1),
        visits=table.whole("visits_a_week", least=0),
        vacant=_share(table, "vacant", 0.0),
        exclusive=table.flag("exclusive", True),
    )
    table.close()
    return force


def _peers(table: Document) -> Peers:
    peers = Peers(table.whole("degree", 0), _number(table, "influence", 0.0, most=3.0))
    table.close()
    return peers


def _reports(table: Document) -> Reports:
    said = table.raw("weeks_late")
    late = Document({str(week): share for week, share in said.items()} if isinstance(said, dict) else said, table.where, "reports.weeks_late", table.faults)
    curve = {}
    for week in late.names():
        if week.isdigit() and 1 <= int(week) <= MOST_WEEKS_LATE:
            curve[int(week)] = _share(late, week)
        else:
            late.fault(week, f"must be a number of weeks from 1 to {MOST_WEEKS_LATE}")
    if not curve or abs(sum(curve.values()) - 1) > 1e-6:
        table.fault("weeks_late", "must have shares that add up to 1")
    level = table.text("level", "hcp", among=LEVELS)
    each = table.whole("physicians_each", 25, least=2) if level == "brick" else 1
    reports = Reports(dict(sorted(curve.items())), _share(table, "covered", 0.94), _share(table, "taken_back", 0.003), level, each)
    table.close()
    return reports


_WANTS: Mapping[str, tuple[str, ...]] = {
    "competitor": ("product", "share"),
    "formulary": ("product", "share", "tier"),
    "feed_stops": ("feed", "weeks"),
    "response": ("factor",),
    "restatement": ("product", "weeks", "factor"),
    "shortage": ("product", "weeks", "factor"),
    "vacancies": ("share", "weeks"),
}
"""What each kind of event says beside its week."""


def _events(document: Document) -> tuple[Event, ...]:
    listed = document.raw("events")
    if listed is None:
        return ()
    if not isinstance(listed, list):
        document.fault("events", "must be a list")
        return ()
    return tuple(_event(Document(body, document.where, f"events[{place}]", document.faults)) for place, body in enumerate(listed))


def _event(table: Document) -> Event:
    kind = table.text("kind", among=_WANTS)
    week = table.raw("week")
    if isinstance(week, bool) or not isinstance(week, int):
        table.fault("week", "must be a whole number of weeks from the first cycle")
        week = 0
    wants = _WANTS.get(kind, ())
    take: Callable[[str], bool] = wants.__contains__
    event = Event(
        kind=kind,
        week=week,
        weeks=table.whole("weeks", least=1) if take("weeks") else 1,
        product=table.text("product") if take("product") else "",
        feed=table.text("feed", among=FEEDS) if take("feed") else "",
        tier=table.text("tier", among=TIERS) if take("tier") else "",
        share=_share(table, "share") if take("share") else 0.0,
        factor=_number(table, "factor") if take("factor") else 1.0,
    )
    table.close()
    return event


def _check(document: Document, world: Description) -> None:
    """What only the parts together can show."""
    _check_products(document, world)
    _check_forces(document, world)
    _check_events(document, world)
    for zone in sorted(set(world.zones) - available_timezones()):
        document.fault("market.zones", f"names `{zone}`, which is not a time zone of the IANA list")
    if not world.zones or not world.channels:
        document.fault("market.zones" if world.channels else "channels", "names none")
    for topic in world.topics:
        if "-" in topic:
            document.fault(f"promotion.topics.{topic}", "must have no hyphen: content ids end in the topic")
    if world.tours and world.reports.level != "brick":
        document.fault("promotion.tours", "needs `reports.level: brick`: tours go by brick")
    if world.peers.degree >= world.physicians:
        document.fault("peers.degree", "must be below the number of physicians")


def _check_products(document: Document, world: Description) -> None:
    if not world.own:
        document.fault("products", "has none of our own (`own: true`)")
    for basket in sorted({product.basket for product in world.products}):
        total = sum(product.share for product in world.products if product.basket == basket)
        if not 0 < total <= 1 + 1e-6:
            document.fault("products", f"has shares of `{basket}` that add up to {total:g}")
    for product in world.products:
        if product.own and product.value_minor * MICRO >= 2**40:
            document.fault(f"products.{product.name}.value_minor", "is out of range")
    for name in sorted(set(world.supply) - {product.name for product in world.products}):
        document.fault("promotion.supply_per_physician", f"names `{name}`, which is not a product here")


def _check_forces(document: Document, world: Description) -> None:
    own, specialties = {world.products[place].name for place in world.own}, {kind.name for kind in world.specialties}
    if not world.forces:
        document.fault("forces", "names none")
    for force in world.forces:
        if not force.products:
            document.fault(f"forces.{force.name}.products", "names none")
        if force.channel == "call" and "call" not in {channel.name for channel in world.channels}:
            document.fault(f"forces.{force.name}.channel", "is `call`, which `channels` does not describe")
        for name in sorted(set(force.products) - own):
            document.fault(f"forces.{force.name}.products", f"names `{name}`, which is not a product of our own")
        for name in sorted(set(force.specialties) - specialties):
            document.fault(f"forces.{force.name}.specialties", f"names `{name}`, which is not a specialty here")


def _check_events(document: Document, world: Description) -> None:
    products = {product.name for product in world.products}
    for place, event in enumerate(world.events):
        if event.product and event.product not in products:
            document.fault(f"events[{place}].product", f"is `{event.product}`, which is not a product here")
        elif event.kind == "shortage" and event.product not in world.supply:
            document.fault(f"events[{place}].product", f"is `{event.product}`, of which `promotion.supply_per_physician` states no supply")
        if event.week <= -world.history:
            document.fault(f"events[{place}].week", f"must come after week -{world.history}, with which the history begins")
