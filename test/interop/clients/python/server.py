"""A FastMCP server with the tools of the rmcp gateways. Arguments: transport (`http` or `sse`), port."""

import asyncio
import sys

from fastmcp import Context, FastMCP

server = FastMCP("fastmcp")


@server.tool
def echo(text: str) -> str:
    return text


@server.tool
async def slow(steps: int, step_ms: int, context: Context) -> str:
    for step in range(1, steps + 1):
        await asyncio.sleep(step_ms / 1000)
        await context.report_progress(step, steps)
    return f"{steps} steps of {step_ms} ms"


server.run(transport=sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]), show_banner=False, log_level="error")
