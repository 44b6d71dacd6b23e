"""A FastMCP server with the tools of the rmcp gateways. Arguments: transport (`http` or `sse`), port."""

import sys

from fastmcp import Context, FastMCP
from own_tools import add_tools

server = FastMCP("fastmcp")
add_tools(server, Context)
server.run(transport=sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]), show_banner=False, log_level="error")
