"""The tools of the rmcp gateways, for servers of FastMCP and of the Python SDK."""

import asyncio


def add_tools(server, Context):
    @server.tool()
    def echo(text: str) -> str:
        return text

    @server.tool()
    async def slow(steps: int, step_ms: int, context: Context) -> str:
        for step in range(1, steps + 1):
            await asyncio.sleep(step_ms / 1000)
            await context.report_progress(step, steps)
        return f"{steps} steps of {step_ms} ms"
