"""The working memory of one thread that chooses for one HCP at a time: one int64 table, whose rows are named here.

A *level* is one step of the search: how many calls of a kind, one detail, or one action outside calls. Path rows are indexed by depth, room by channel,
seats by detail, choices by rank. One table instead of many arrays keeps the kernels' signatures, and so their compile time, small.
"""

import numpy as np

from remit.arbiter.rows import Rows, Table

KEEP = 16
"""How many of the best choices a desk can hold."""
NOTHING = -(1 << 62)

CALLS, DETAIL, ALONE = 0, 1, 2
"""The sorts of level."""

STATE = 0
GAIN, ROOM_LEFT, FILLED, USED, PICKS, ALONE_FROM, LEVELS, BONUS, KINDS, FIRST_KIND = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
"""Columns of the row `STATE`: worth of the path, contacts left, details and calls of the current kind, picks on the path, layout, bonus, kinds of call."""

SORT, ROW, NET, KEY, END, SUM, LEAST, AFTER = 1, 2, 3, 4, 5, 6, 7, 8
VALUE, CHANNEL, PRODUCT, GROUP, MOST, ENTRY, ENTRY_END = 9, 10, 11, 12, 13, 14, 15
PATH, NEXT, TOOK, GAIN_BEFORE, FILLED_BEFORE, USED_BEFORE, PICKED = 16, 17, 18, 19, 20, 21, 22
ROOM, POSITION, RESOURCE, AMOUNT = 23, 24, 25, 26
SEAT_CALL, SEAT_POSITION, BEST_CALL, BEST_POSITION = 27, 28, 29, 30
BEST, COUNT, PICK, CALLED = 31, 32, 33, 33 + KEEP
WORTH = CALLED + KEEP
"""The first of one row per position: what the detail of a level is worth there."""


def desk(rows: Rows) -> Table:
    """A desk that fits every HCP of `rows`."""
    candidates, kinds = np.diff(rows.start), np.diff(rows.call_start)
    entries = np.diff(rows.use.start[rows.start]) + np.diff(rows.call_use.start[rows.call_start])
    width = max(int(np.max(candidates + kinds, initial=0)) + 2, int(np.max(entries, initial=0)), rows.channels, len(rows.positions), KEEP + 1)
    return np.zeros((WORTH + len(rows.positions), width), dtype=np.int64)
