"""What would happen? Simulated countries with known truth."""

from remit.worlds.deliveries import Delivery
from remit.worlds.description import Description, read_world
from remit.worlds.errors import WorldError
from remit.worlds.population import People
from remit.worlds.touching import ACTIONS
from remit.worlds.two_brands import FIRST_CYCLE, two_brands
from remit.worlds.world import Week, World

__all__ = ["ACTIONS", "FIRST_CYCLE", "Delivery", "Description", "People", "Week", "World", "WorldError", "read_world", "two_brands"]
