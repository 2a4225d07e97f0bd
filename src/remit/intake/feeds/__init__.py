"""The feeds: one folder each, with its contract, a sample of good rows, and bad rows that each break one rule."""

from collections.abc import Mapping
from types import MappingProxyType

from remit.intake.contracts import Table
from remit.intake.feeds import alignments, brick_rx, consent, content, detailing, formulary, hcp, inquiries, peers, products, resources, rx, supply, touches
from remit.intake.layouts import Feed, native

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        feed.TABLE.name: feed.TABLE
        for feed in (hcp, rx, brick_rx, touches, inquiries, consent, content, alignments, resources, formulary, products, peers, supply)
    }
)
"""The tables of the warehouse, by name."""

FEEDS: Mapping[str, Feed] = MappingProxyType({name: native(table) for name, table in TABLES.items()} | {detailing.FEED.name: detailing.FEED})
"""The feeds, by the name of their folder: each table's native feed, and other layouts."""
