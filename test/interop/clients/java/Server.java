import io.modelcontextprotocol.json.McpJsonDefaults;
import io.modelcontextprotocol.server.McpServer;
import io.modelcontextprotocol.server.transport.HttpServletSseServerTransportProvider;
import io.modelcontextprotocol.server.transport.HttpServletStreamableServerTransportProvider;
import io.modelcontextprotocol.spec.McpSchema.CallToolResult;
import io.modelcontextprotocol.spec.McpSchema.ProgressNotification;
import io.modelcontextprotocol.spec.McpSchema.ServerCapabilities;
import io.modelcontextprotocol.spec.McpSchema.Tool;
import jakarta.servlet.http.HttpServlet;
import java.util.Map;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;

/** A server of the Java SDK with the tools of the rmcp gateways, at /mcp and /sse. Arguments: port, a folder for Tomcat. */
class Server {
    public static void main(String[] args) throws Exception {
        var json = McpJsonDefaults.getMapper();
        var streamable = HttpServletStreamableServerTransportProvider.builder().jsonMapper(json).mcpEndpoint("/mcp").build();
        var sse = HttpServletSseServerTransportProvider.builder()
            .jsonMapper(json).sseEndpoint("/sse").messageEndpoint("/messages").build();
        withTools(McpServer.sync(streamable)).build();
        withTools(McpServer.sync(sse)).build();

        var tomcat = new Tomcat();
        tomcat.setBaseDir(args[1]);
        tomcat.setPort(Integer.parseInt(args[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        var context = tomcat.addContext("", args[1]);
        serve(context, streamable, "/mcp");
        serve(context, sse, "/sse", "/messages");
        tomcat.start();
        tomcat.getServer().await();
    }

    static void serve(Context context, HttpServlet servlet, String... paths) {
        Tomcat.addServlet(context, paths[0], servlet).setAsyncSupported(true);
        for (var path : paths) context.addServletMappingDecoded(path, paths[0]);
    }

    static <S extends McpServer.SyncSpecification<S>> McpServer.SyncSpecification<S> withTools(McpServer.SyncSpecification<S> server) {
        Map<String, Object> anything = Map.of("type", "object");
        return server
            .serverInfo("java-server", "1.0.0")
            .capabilities(ServerCapabilities.builder().tools(true).build())
            .toolCall(Tool.builder().name("echo").inputSchema(anything).build(), (exchange, request) ->
                text((String) request.arguments().get("text")))
            .toolCall(Tool.builder().name("slow").inputSchema(anything).build(), (exchange, request) -> {
                int steps = ((Number) request.arguments().get("steps")).intValue();
                int stepMs = ((Number) request.arguments().get("step_ms")).intValue();
                for (int step = 1; step <= steps; step++) {
                    sleep(stepMs);
                    if (request.progressToken() == null) continue;
                    exchange.progressNotification(
                        new ProgressNotification(request.progressToken(), step, (double) steps, null));
                }
                return text(steps + " steps of " + stepMs + " ms");
            });
    }

    static CallToolResult text(String text) {
        return CallToolResult.builder().addTextContent(text).build();
    }

    static void sleep(int ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }
}
