"""A server of the Python SDK 2 that asks for signed tokens. Arguments as those of protected_server.py."""

import sys

import jwt
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context, MCPServer
from own_tools import add_tools

_, base_url, port, key, issuer = sys.argv


class Verifier:
    async def verify_token(self, token):
        try:
            claims = jwt.decode(token, key, algorithms=["HS256"], issuer=issuer)
        except jwt.InvalidTokenError:
            return None
        client_id, expires_at = claims["client_id"], claims.get("exp")
        return AccessToken(
            token=token, client_id=client_id, scopes=[], expires_at=expires_at, subject=claims["sub"], claims=claims
        )


auth = AuthSettings(
    issuer_url=issuer, resource_server_url=f"{base_url}/mcp", required_scopes=[], validate_token_resource=False
)
server = MCPServer("protected", token_verifier=Verifier(), auth=auth, log_level="ERROR")
add_tools(server, Context)
server.run("streamable-http", host="127.0.0.1", port=int(port))
