// Package queue says what a server of tasks has to offer: attempts, the lease on
// one, and the report of what became of it. It holds no code of a server.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Attempt is one try of one task, as a queue hands it out.
type Attempt struct {
	Task            string // TaskDef name
	TaskID          string
	WorkflowID      string
	Reference       string // the task's reference name in its workflow
	Iteration       int    // of a DO_WHILE; 0 outside of one
	Retry           int    // 0 for the first try
	Input           json.RawMessage
	ResponseTimeout time.Duration // the lease; 0 is none
}

// LogAttrs are what every log record of an attempt carries. The folder of the
// attempt, and its staging branch, are in the records that are about them.
func (a Attempt) LogAttrs() []any {
	return []any{"task", a.Task, "workflow_id", a.WorkflowID, "task_id", a.TaskID, "retry", a.Retry,
		"attempt", fmt.Sprintf("%s-%d", a.TaskID, a.Retry)}
}

// Status is Conductor's word for what became of an attempt.
type Status string

const (
	Completed      Status = "COMPLETED"
	Failed         Status = "FAILED"                     // retried as the TaskDef says
	FailedTerminal Status = "FAILED_WITH_TERMINAL_ERROR" // never retried
)

// Report is what a worker sends to the queue when an attempt is over.
type Report struct {
	Attempt Attempt
	Status  Status
	Reason  string          // "" when completed
	Output  json.RawMessage // nil unless completed
	Log     []string        // lines for the task's log at the server, oldest first, at most 32 KiB in all
	Last    bool            // the worker is draining: the answer must not carry another attempt
}

// Queue hands out attempts and takes their outcome.
type Queue interface {
	// Poll returns at most max attempts of one task. It may wait at the server
	// for as long as wait; none is an empty slice.
	Poll(ctx context.Context, task string, max int, wait time.Duration) ([]Attempt, error)
	// Waiting returns those of the tasks that have something on their queue, whether
	// it may be had already or not. ErrUnsupported: the server cannot tell.
	Waiting(ctx context.Context, tasks []string) ([]string, error)
	// Report delivers an outcome. When the server's answer carries the next
	// attempt of the same task, it is returned. ErrGone: the server no longer
	// wants it; ErrRejected: it never will. Then nothing is to be repeated. After
	// any other error the same report may be sent again.
	Report(ctx context.Context, r Report) (next *Attempt, err error)
}

// Leaser keeps the lease on an attempt.
type Leaser interface {
	// Extend renews the lease of an attempt for its response time-out.
	Extend(ctx context.Context, a Attempt) error
	// Current is nil when the server still shows the attempt as running, with
	// our retry count; ErrGone when it does not.
	Current(ctx context.Context, a Attempt) error
	// Note appends lines to the task's log at the server.
	Note(ctx context.Context, a Attempt, lines []string) error
}

// ErrGone: the server no longer counts on this attempt.
var ErrGone = errors.New("the attempt is no longer current")

// ErrUnsupported: the server has no such call.
var ErrUnsupported = errors.New("the server does not offer this")

// ErrRejected: the server will never take this report, however often it is sent.
var ErrRejected = errors.New("the server rejects the report")

// ErrLeaseLost is the cause of a context that ended because the lease could not be kept.
var ErrLeaseLost = errors.New("lease lost")

// ErrForced is the cause of a context that ended at the end of the grace period, or at a second signal.
var ErrForced = errors.New("the worker was told to stop at once")
