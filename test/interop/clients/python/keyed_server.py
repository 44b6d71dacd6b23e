"""A FastMCP server that asks for an API key. Arguments: port, and the keys that it knows, with commas."""

import sys

from fastmcp import Context, FastMCP
from own_tools import add_tools
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

_, port, keys = sys.argv
server = FastMCP("keyed")


class Keys:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        key = dict(scope.get("headers", [])).get(b"x-api-key", b"").decode("latin-1")
        known = scope["type"] != "http" or key in keys.split(",")
        await (self.app if known else PlainTextResponse("no such key", 401))(scope, receive, send)


add_tools(server, Context)
options = {"show_banner": False, "log_level": "error", "middleware": [Middleware(Keys)]}
server.run(transport="http", host="127.0.0.1", port=int(port), **options)
