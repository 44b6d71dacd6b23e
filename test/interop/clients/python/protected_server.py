"""A FastMCP server that asks for the token `secret`. Arguments: the URL under which clients know it, port."""

import sys

from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier

verifier = StaticTokenVerifier(tokens={"secret": {"client_id": "tester", "scopes": []}})
auth = RemoteAuthProvider(
    token_verifier=verifier, authorization_servers=["https://login.example"], base_url=sys.argv[1]
)
server = FastMCP("protected", auth=auth)


@server.tool
def echo(text: str) -> str:
    return text


server.run(transport="http", host="127.0.0.1", port=int(sys.argv[2]), show_banner=False, log_level="error")
