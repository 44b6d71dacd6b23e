// A server of the Go SDK or of mcp-go with the tools of the rmcp gateways, at /mcp and /sse. Arguments: `go-sdk` or `mcp-go`,
// port.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	marked "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type echo struct {
	Text string `json:"text"`
}

type slow struct {
	Steps  int `json:"steps"`
	StepMs int `json:"step_ms"`
}

func main() {
	mux := map[string]func() http.Handler{"go-sdk": ofGoSDK, "mcp-go": ofMcpGo}[os.Args[1]]()
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[2], mux))
}

// run tells the progress of each step at its beginning, for mcp-go loses what is told right before the result; and then
// what it did.
func (s slow) run(tell func(step int)) string {
	for step := 1; step <= s.Steps; step++ {
		tell(step)
		time.Sleep(time.Duration(s.StepMs) * time.Millisecond)
	}
	return fmt.Sprintf("%d steps of %d ms", s.Steps, s.StepMs)
}

func ofGoSDK() http.Handler {
	text := func(text string) *mcp.CallToolResult {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "go-server", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "echo"},
		func(_ context.Context, _ *mcp.CallToolRequest, in echo) (*mcp.CallToolResult, any, error) {
			return text(in.Text), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "slow"},
		func(ctx context.Context, request *mcp.CallToolRequest, in slow) (*mcp.CallToolResult, any, error) {
			return text(in.run(func(step int) {
				params := &mcp.ProgressNotificationParams{
					ProgressToken: request.Params.GetProgressToken(), Progress: float64(step),
				}
				if params.ProgressToken != nil {
					_ = request.Session.NotifyProgress(ctx, params)
				}
			})), nil, nil
		})
	one := func(*http.Request) *mcp.Server { return s }
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(one, nil))
	mux.Handle("/sse", mcp.NewSSEHandler(one, nil))
	return mux
}

func ofMcpGo() http.Handler {
	s := server.NewMCPServer("mcp-go-server", "1.0.0")
	s.AddTool(marked.NewTool("echo", marked.WithString("text")), marked.NewTypedToolHandler(
		func(_ context.Context, _ marked.CallToolRequest, in echo) (*marked.CallToolResult, error) {
			return marked.NewToolResultText(in.Text), nil
		}))
	s.AddTool(marked.NewTool("slow", marked.WithNumber("steps"), marked.WithNumber("step_ms")), marked.NewTypedToolHandler(
		func(ctx context.Context, request marked.CallToolRequest, in slow) (*marked.CallToolResult, error) {
			return marked.NewToolResultText(in.run(func(step int) {
				if meta := request.Params.Meta; meta != nil && meta.ProgressToken != nil {
					params := map[string]any{"progressToken": meta.ProgressToken, "progress": step}
					_ = server.ServerFromContext(ctx).SendNotificationToClient(ctx, "notifications/progress", params)
				}
			})), nil
		}))
	sse := server.NewSSEServer(s)
	mux := http.NewServeMux()
	mux.Handle("/mcp", server.NewStreamableHTTPServer(s))
	mux.Handle("/sse", sse.SSEHandler())
	mux.Handle("/message", sse.MessageHandler())
	return mux
}
