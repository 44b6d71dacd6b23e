"""A FastMCP server that asks for signed tokens. Arguments: the URL under which clients know it, port, key and issuer of the tokens."""

import sys

from fastmcp import Context, FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from own_tools import add_tools

_, base_url, port, key, issuer = sys.argv
verifier = JWTVerifier(public_key=key, algorithm="HS256", issuer=issuer)
auth = RemoteAuthProvider(
    token_verifier=verifier, authorization_servers=["https://login.example"], base_url=base_url
)
server = FastMCP("protected", auth=auth)
add_tools(server, Context)
server.run(transport="http", host="127.0.0.1", port=int(port), show_banner=False, log_level="error")
