"""How the world asks and acts: the facts of each proposal, the check at the door, the channels."""

from remit.gateway.between import Asked, Room, Standing, between, decide, in_force
from remit.gateway.channels.files import Delivery, deliver, lists, take_back
from remit.gateway.clerk import Answer, Clerk, Renewed
from remit.gateway.clocks import steady
from remit.gateway.counting import Counts, Made, contacts_under, counted, histories, one_more, rents
from remit.gateway.credentials import (
    PERSON_SCOPES,
    TOKEN_SCOPES,
    Client,
    Issued,
    Register,
    TokenKey,
    issue_credential,
    issue_personal,
    may_issue,
    may_revoke,
    may_rotate,
    revoke_credential,
    revoke_personal,
    rotate_token_key,
)
from remit.gateway.door import Stopped, asked_now, clear, clear_approved
from remit.gateway.errors import CredentialError, GatewayError
from remit.gateway.events import Event
from remit.gateway.facts import Known, gather, on_file, open_inquiries
from remit.gateway.queue import ACCOUNTABLE, REASONS, Heard, Yes, approval, escalation, handed_over, heard, lacking, may_say, refusal, remark
from remit.gateway.reading import Licence, Since, facts_of, reads, withheld
from remit.gateway.reported import OUTCOME, TAKEN_UP, WHATS, Outcome, Reported
from remit.gateway.reporting import Arrived, Taken
from remit.gateway.single import Single
from remit.gateway.tally import CLOCKED, RENEWS, Pending, Tally
from remit.gateway.tokens import Bearer, Caller, Charters, Granted, OnFile, Tokens

__all__ = [
    "ACCOUNTABLE",
    "CLOCKED",
    "OUTCOME",
    "PERSON_SCOPES",
    "REASONS",
    "RENEWS",
    "TAKEN_UP",
    "TOKEN_SCOPES",
    "WHATS",
    "Answer",
    "Arrived",
    "Asked",
    "Bearer",
    "Caller",
    "Charters",
    "Clerk",
    "Client",
    "Counts",
    "CredentialError",
    "Delivery",
    "Event",
    "GatewayError",
    "Granted",
    "Heard",
    "Issued",
    "Known",
    "Licence",
    "Made",
    "OnFile",
    "Outcome",
    "Pending",
    "Register",
    "Renewed",
    "Reported",
    "Room",
    "Since",
    "Single",
    "Standing",
    "Stopped",
    "Taken",
    "Tally",
    "TokenKey",
    "Tokens",
    "Yes",
    "approval",
    "asked_now",
    "between",
    "clear",
    "clear_approved",
    "contacts_under",
    "counted",
    "decide",
    "deliver",
    "escalation",
    "facts_of",
    "gather",
    "handed_over",
    "heard",
    "histories",
    "in_force",
    "issue_credential",
    "issue_personal",
    "lacking",
    "lists",
    "may_issue",
    "may_revoke",
    "may_rotate",
    "may_say",
    "on_file",
    "one_more",
    "open_inquiries",
    "reads",
    "refusal",
    "remark",
    "rents",
    "revoke_credential",
    "revoke_personal",
    "rotate_token_key",
    "steady",
    "take_back",
    "withheld",
]
