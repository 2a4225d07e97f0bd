"""Micro-segments: groups of 10 to 50 physicians who behave and respond alike, named in plain words, and stable from cycle to cycle."""

from remit.models.segments.model import MEMBERS, MOST, UPTAKE, Segment, Segments, load, segment
from remit.models.segments.traits import FEWEST
from remit.models.segments.uptake import uptake

__all__ = ["FEWEST", "MEMBERS", "MOST", "UPTAKE", "Segment", "Segments", "load", "segment", "uptake"]
