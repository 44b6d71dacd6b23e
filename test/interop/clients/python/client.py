"""A client of the SDK that this Python has (mcp 1, mcp 2 or FastMCP): one visit as clients.ts describes it."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version


@asynccontextmanager
async def connect(transport, url, headers):
    if installed("fastmcp"):
        from fastmcp import Client
        from fastmcp.client.transports import SSETransport, StreamableHttpTransport

        kinds = {"streamable": StreamableHttpTransport, "sse": SSETransport}
        async with Client(kinds[transport](url, headers=headers)) as client:
            yield client
    elif version("mcp").startswith("1."):
        from mcp import ClientSession
        from mcp.client.sse import sse_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        streamable = lambda: streamable_http_client(url, http_client=create_mcp_http_client(headers))
        kinds = {"streamable": streamable, "sse": lambda: sse_client(url, headers)}
        async with kinds[transport]() as streams:
            async with ClientSession(*streams[:2]) as session:
                await session.initialize()
                yield session
    else:
        from mcp import Client
        from mcp.client.sse import sse_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        streamable = lambda: streamable_http_client(url, http_client=create_mcp_http_client(headers))
        kinds = {"streamable": streamable, "sse": lambda: sse_client(url, headers)}
        async with Client(kinds[transport]()) as client:
            yield client


def installed(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


async def visit(task):
    progress = []

    async def on_progress(value, total, message):
        progress.append(value)

    with_progress = {"progress_handler" if installed("fastmcp") else "progress_callback": on_progress}
    async with connect(task["transport"], task["url"], task.get("headers")) as client:
        listed = await client.list_tools()
        echo = await client.call_tool(task["echo"]["name"], task["echo"]["arguments"])
        slow = await client.call_tool(task["slow"]["name"], task["slow"]["arguments"], **with_progress)
        report = {
            "tools": [tool.name for tool in getattr(listed, "tools", listed)],
            "echo": echo.content[0].text,
            "slow": slow.content[0].text,
            "progress": progress,
        }
        print(json.dumps(report), flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(visit(json.loads(sys.argv[1])))
