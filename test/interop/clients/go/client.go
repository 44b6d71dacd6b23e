// A client of the Go SDK: one visit as clients.ts describes it.
package main

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"mcp-turnstile.invalid/client/visit"
)

type session struct{ *mcp.ClientSession }

func main() {
	visit.Main(func(task visit.Task, onProgress func(float64)) visit.Session {
		client := mcp.NewClient(&mcp.Implementation{Name: "go-client", Version: "1.0.0"}, &mcp.ClientOptions{
			ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
				onProgress(r.Params.Progress)
			},
		})
		connected, err := client.Connect(context.Background(), transport(task), nil)
		visit.Check(err)
		return session{connected}
	})
}

func transport(task visit.Task) mcp.Transport {
	client := &http.Client{Transport: withHeaders(task.Headers)}
	if task.Transport == "sse" {
		return &mcp.SSEClientTransport{Endpoint: task.URL, HTTPClient: client}
	}
	return &mcp.StreamableClientTransport{Endpoint: task.URL, HTTPClient: client}
}

// withHeaders are what each request has.
type withHeaders map[string]string

func (headers withHeaders) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := request.Clone(request.Context())
	for name, value := range headers {
		sent.Header.Set(name, value)
	}
	return http.DefaultTransport.RoundTrip(sent)
}

func (s session) Tools() (names []string) {
	listed, err := s.ListTools(context.Background(), nil)
	visit.Check(err)
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
	}
	return names
}

func (s session) Call(call visit.Call, progressToken any) string {
	params := &mcp.CallToolParams{Name: call.Name, Arguments: call.Arguments}
	if progressToken != nil {
		params.SetProgressToken(progressToken)
	}
	result, err := s.CallTool(context.Background(), params)
	visit.Check(err)
	return result.Content[0].(*mcp.TextContent).Text
}

func (s session) Close() { visit.Check(s.ClientSession.Close()) }
