// A client of the Go SDK: one visit as clients.ts describes it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type call struct {
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
}

type task struct {
	Transport string `json:"transport"`
	URL       string `json:"url"`
	Echo      call   `json:"echo"`
	Slow      call   `json:"slow"`
}

type report struct {
	Tools    []string  `json:"tools"`
	Echo     string    `json:"echo"`
	Slow     string    `json:"slow"`
	Progress []float64 `json:"progress"`
}

func main() {
	var t task
	check(json.Unmarshal([]byte(os.Args[1]), &t))
	ctx := context.Background()
	progress := make(chan float64, 100)
	client := mcp.NewClient(&mcp.Implementation{Name: "go-client", Version: "1.0.0"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			progress <- r.Params.Progress
		},
	})
	session, err := client.Connect(ctx, transport(t), nil)
	check(err)
	done := report{Progress: []float64{}}
	listed, err := session.ListTools(ctx, nil)
	check(err)
	for _, tool := range listed.Tools {
		done.Tools = append(done.Tools, tool.Name)
	}
	done.Echo = callTool(ctx, session, t.Echo, nil)
	done.Slow = callTool(ctx, session, t.Slow, "slow")
	for steps := int(t.Slow.Arguments["steps"].(float64)); len(done.Progress) < steps; {
		done.Progress = append(done.Progress, <-progress)
	}
	line, err := json.Marshal(done)
	check(err)
	fmt.Println(string(line))
	_, err = io.Copy(io.Discard, os.Stdin)
	check(err)
	check(session.Close())
}

func transport(t task) mcp.Transport {
	if t.Transport == "sse" {
		return &mcp.SSEClientTransport{Endpoint: t.URL}
	}
	return &mcp.StreamableClientTransport{Endpoint: t.URL}
}

func callTool(ctx context.Context, session *mcp.ClientSession, c call, progressToken any) string {
	params := &mcp.CallToolParams{Name: c.Name, Arguments: c.Arguments}
	if progressToken != nil {
		params.SetProgressToken(progressToken)
	}
	result, err := session.CallTool(ctx, params)
	check(err)
	return result.Content[0].(*mcp.TextContent).Text
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
