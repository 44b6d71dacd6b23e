// A client of mcp-go: one visit as clients.ts describes it.
package main

import (
	"context"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"
	"mcp-turnstile.invalid/client/visit"
)

type session struct{ *client.Client }

func main() {
	visit.Main(func(task visit.Task, onProgress func(float64)) visit.Session {
		ctx := context.Background()
		connected, err := connect(task)
		visit.Check(err)
		visit.Check(connected.Start(ctx))
		connected.OnNotification(func(notification mcp.JSONRPCNotification) {
			if notification.Method == "notifications/progress" {
				onProgress(notification.Params.AdditionalFields["progress"].(float64))
			}
		})
		request := mcp.InitializeRequest{}
		request.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
		request.Params.ClientInfo = mcp.Implementation{Name: "mcp-go-client", Version: "1.0.0"}
		_, err = connected.Initialize(ctx, request)
		visit.Check(err)
		return session{connected}
	})
}

func connect(task visit.Task) (*client.Client, error) {
	if task.Transport == "sse" {
		return client.NewSSEMCPClient(task.URL)
	}
	return client.NewStreamableHttpClient(task.URL)
}

func (s session) Tools() (names []string) {
	listed, err := s.ListTools(context.Background(), mcp.ListToolsRequest{})
	visit.Check(err)
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
	}
	return names
}

func (s session) Call(call visit.Call, progressToken any) string {
	request := mcp.CallToolRequest{}
	request.Params.Name = call.Name
	request.Params.Arguments = call.Arguments
	if progressToken != nil {
		request.Params.Meta = &mcp.Meta{ProgressToken: progressToken}
	}
	result, err := s.CallTool(context.Background(), request)
	visit.Check(err)
	return result.Content[0].(mcp.TextContent).Text
}

func (s session) Close() { visit.Check(s.Client.Close()) }
