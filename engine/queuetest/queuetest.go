// Package queuetest has the conformance tests of queue.Queue and queue.Leaser, and
// Memory, a queue in this process that passes them as a real server does.
package queuetest

import (
	"context"
	"encoding/json"
	"time"

	"perago/engine/queue"
)

// Definition of a task at a server, as far as the tests use it.
type Definition struct {
	Name            string
	Retries         int
	RetryDelay      time.Duration // whole seconds at a real server
	ResponseTimeout time.Duration // whole seconds at a real server; 0 is none
}

// Task is one attempt as its server shows it.
type Task struct {
	ID     string
	Retry  int
	Status queue.Status
	Reason string
	Output json.RawMessage
	Log    []string // entries, oldest first, each of one or more lines
}

// Statuses that a server shows in addition to those that a worker reports.
const (
	Scheduled  queue.Status = "SCHEDULED"
	InProgress queue.Status = "IN_PROGRESS"
	TimedOut   queue.Status = "TIMED_OUT"
	Canceled   queue.Status = "CANCELED"
)

// Server is the server's side of a queue: what a person does and sees there.
type Server interface {
	// Define registers or replaces a task.
	Define(ctx context.Context, d Definition) error
	// Start starts a workflow that has only this task, with the given task input.
	Start(ctx context.Context, task string, input json.RawMessage) (workflow string, err error)
	// Tasks returns the attempts of the workflow's task, oldest first.
	Tasks(ctx context.Context, workflow string) ([]Task, error)
	// Terminate ends a workflow from outside.
	Terminate(ctx context.Context, workflow string) error
}

// Backend is a queue under test, with its server's side.
type Backend struct {
	Queue  queue.Queue
	Leaser queue.Leaser
	Server Server
}
