// Package queuetest holds the conformance suite of queue.Queue and
// queue.Leaser, and Memory, a queue in this process that the suite keeps as
// honest as a real server.
package queuetest

import (
	"context"
	"encoding/json"
	"time"

	"perago/engine/queue"
)

// Definition of a task at a server, as far as the suite looks at it.
type Definition struct {
	Name            string
	Retries         int
	RetryDelay      time.Duration // whole seconds at a real server
	ResponseTimeout time.Duration // the same; 0 is none
}

// Task is one try as its server shows it.
type Task struct {
	ID     string
	Retry  int
	Status queue.Status
	Reason string
	Output json.RawMessage
	Log    []string // entries, oldest first; one may have several lines
}

// What a server says of a try beside the statuses a worker reports.
const (
	Scheduled  queue.Status = "SCHEDULED"
	InProgress queue.Status = "IN_PROGRESS"
	TimedOut   queue.Status = "TIMED_OUT"
	Canceled   queue.Status = "CANCELED"
)

// Server is the far side of a queue: what a person does at it, and sees there.
type Server interface {
	// Define registers or replaces a task.
	Define(ctx context.Context, d Definition) error
	// Start starts a workflow of this one task with the given task input.
	Start(ctx context.Context, task string, input json.RawMessage) (workflow string, err error)
	// Tasks returns the tries of the workflow's task, oldest first.
	Tasks(ctx context.Context, workflow string) ([]Task, error)
	// Terminate ends a workflow from outside.
	Terminate(ctx context.Context, workflow string) error
}

// Backend is a queue under test with its far side.
type Backend struct {
	Queue  queue.Queue
	Leaser queue.Leaser
	Server Server
}
