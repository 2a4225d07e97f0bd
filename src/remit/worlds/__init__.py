"""What would happen? Simulated countries with known truth."""

from remit.worlds.deliveries import Delivery
from remit.worlds.two_brands import FIRST_CYCLE, two_brands

__all__ = ["FIRST_CYCLE", "Delivery", "two_brands"]
