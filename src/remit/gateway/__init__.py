"""How the world asks and acts: the facts of each proposal, the check at the door, the channels."""

from remit.gateway.channels.files import Delivery, deliver, lists, take_back
from remit.gateway.door import Stopped, clear
from remit.gateway.errors import GatewayError
from remit.gateway.facts import Known, gather, on_file, open_inquiries

__all__ = ["Delivery", "GatewayError", "Known", "Stopped", "clear", "deliver", "gather", "lists", "on_file", "open_inquiries", "take_back"]
