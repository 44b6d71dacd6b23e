import io.modelcontextprotocol.client.McpClient;
import io.modelcontextprotocol.client.McpSyncClient;
import io.modelcontextprotocol.client.transport.HttpClientSseClientTransport;
import io.modelcontextprotocol.client.transport.HttpClientStreamableHttpTransport;
import io.modelcontextprotocol.json.McpJsonDefaults;
import io.modelcontextprotocol.spec.McpClientTransport;
import io.modelcontextprotocol.spec.McpSchema.CallToolRequest;
import io.modelcontextprotocol.spec.McpSchema.Implementation;
import io.modelcontextprotocol.spec.McpSchema.TextContent;
import io.modelcontextprotocol.spec.McpSchema.Tool;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;

/** A client of the Java SDK: one visit as clients.ts describes it. */
class Visitor {
    public static void main(String[] args) throws Exception {
        var json = McpJsonDefaults.getMapper();
        Map<?, ?> task = json.readValue(args[0], Map.class);
        var progress = new LinkedBlockingQueue<Double>();
        var url = URI.create((String) task.get("url"));
        McpSyncClient client = McpClient.sync(transport(url, "sse".equals(task.get("transport"))))
            .clientInfo(new Implementation("java-client", "1.0.0"))
            .progressConsumer(told -> progress.add(told.progress()))
            .build();
        client.initialize();
        List<String> tools = client.listTools().tools().stream().map(Tool::name).toList();
        String echo = call(client, (Map<?, ?>) task.get("echo"), null);
        var slowly = (Map<?, ?>) task.get("slow");
        String slow = call(client, slowly, "slow");
        var values = new ArrayList<Double>();
        int steps = ((Number) ((Map<?, ?>) slowly.get("arguments")).get("steps")).intValue();
        while (values.size() < steps) values.add(progress.take());
        var report = Map.of("tools", tools, "echo", echo, "slow", slow, "progress", values);
        System.out.println(json.writeValueAsString(report));
        System.in.readAllBytes();
        client.closeGracefully();
        System.exit(0);
    }

    static McpClientTransport transport(URI url, boolean isLegacy) {
        var server = url.resolve("/").toString();
        return isLegacy
            ? HttpClientSseClientTransport.builder(server).sseEndpoint(url.getPath()).build()
            : HttpClientStreamableHttpTransport.builder(server).endpoint(url.getPath()).build();
    }

    @SuppressWarnings("unchecked")
    static String call(McpSyncClient client, Map<?, ?> call, Object progressToken) {
        var request = CallToolRequest.builder((String) call.get("name"))
            .arguments((Map<String, Object>) call.get("arguments"));
        if (progressToken != null) request.progressToken(progressToken);
        return ((TextContent) client.callTool(request.build()).content().get(0)).text();
    }
}
