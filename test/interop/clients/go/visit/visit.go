// Package visit is what clients in Go have in common: one visit as clients.ts describes it.
package visit

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
)

// Call is a call of a tool.
type Call struct {
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
}

// Task is what a client shall do.
type Task struct {
	Transport string            `json:"transport"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Echo      Call              `json:"echo"`
	Slow      Call              `json:"slow"`
}

// Session is a client's connection to its server.
type Session interface {
	Tools() []string
	Call(call Call, progressToken any) string
	Close()
}

type report struct {
	Tools    []string  `json:"tools"`
	Echo     string    `json:"echo"`
	Slow     string    `json:"slow"`
	Progress []float64 `json:"progress"`
}

// Main is the program of a client. What open returns has been initialized, and hands on its progress.
func Main(open func(task Task, onProgress func(float64)) Session) {
	var task Task
	Check(json.Unmarshal([]byte(os.Args[1]), &task))
	progress := make(chan float64, 100)
	session := open(task, func(value float64) { progress <- value })
	done := report{Tools: session.Tools(), Progress: []float64{}}
	done.Echo = session.Call(task.Echo, nil)
	done.Slow = session.Call(task.Slow, "slow")
	for steps := int(task.Slow.Arguments["steps"].(float64)); len(done.Progress) < steps; {
		done.Progress = append(done.Progress, <-progress)
	}
	line, err := json.Marshal(done)
	Check(err)
	fmt.Println(string(line))
	_, err = io.Copy(io.Discard, os.Stdin)
	Check(err)
	session.Close()
}

// Check ends the program with the error, if there is one.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
