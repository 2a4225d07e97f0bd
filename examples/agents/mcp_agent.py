"""An agent that speaks the Model Context Protocol, by the official client: it asks what it may do, proposes an e-mail, and takes back what people would
have to decide.

REMIT_URL, REMIT_CLIENT and REMIT_SECRET say where the gateway is and who this is; `remit agent issue` gives the last two.
"""

import asyncio
import os
import sys

from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

URL = os.environ.get("REMIT_URL", "http://127.0.0.1:8710")


class Memory:
    """Keeps tokens while the agent runs."""

    def __init__(self) -> None:
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens) -> None:
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client) -> None:
        self.client = client


async def ask(client: Client, tool: str, arguments: dict | None = None) -> dict:
    """What a tool answers. Raises where it could not."""
    result = await client.call_tool(tool, arguments or {})
    if result.is_error:
        raise SystemExit(f"{tool}: {result.structured_content}")
    return result.structured_content


async def main() -> None:
    """Proposes one e-mail to each of ten physicians."""
    if not {"REMIT_CLIENT", "REMIT_SECRET"} <= os.environ.keys():
        sys.exit("Set REMIT_CLIENT and REMIT_SECRET: `remit agent issue AGENT --by OWNER` gives both.")
    name, secret = os.environ["REMIT_CLIENT"], os.environ["REMIT_SECRET"]
    provider = ClientCredentialsOAuthProvider(f"{URL}/mcp", Memory(), name, secret, issuer=URL)
    async with create_mcp_http_client(auth=provider) as http, Client(streamable_http_client(f"{URL}/mcp", http_client=http)) as client:
        allowed = await ask(client, "describe")
        print(f"I am {allowed['agent']}: {allowed['objective']}.")
        content = next(each for each in allowed["content"] if each["status"] == "approved")
        said = {key: content[key] for key in ("channel", "product", "content_id", "communication_type")}
        hcps = (await ask(client, "hcps"))["hcps"][-10:]
        proposals = [{"key": f"{allowed['cycle']}:mcp:{hcp}", "hcp_id": hcp, "value": 9.0, **said} for hcp in hcps]
        for answer in (await ask(client, "propose", {"proposals": proposals}))["answers"]:
            print(f"{answer['key']}: {answer['disposition']}")
            if answer["disposition"] == "waiting":
                taken = await ask(client, "withdraw", {"id": answer["id"]})
                print(f"{answer['key']}: {taken['disposition']}, for it is not worth a person's time")


if __name__ == "__main__":
    asyncio.run(main())
