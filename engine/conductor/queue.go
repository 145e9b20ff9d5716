package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/conductor-sdk/conductor-go/sdk/model"

	"perago/engine/queue"
)

// polled is a task in the response to a poll. The input is not decoded.
type polled struct {
	TaskID     string          `json:"taskId"`
	WorkflowID string          `json:"workflowInstanceId"`
	Reference  string          `json:"referenceTaskName"`
	Retry      int             `json:"retryCount"`
	Iteration  int             `json:"iteration"`
	Input      json.RawMessage `json:"inputData"`
	Timeout    int64           `json:"responseTimeoutSeconds"`
}

func (p polled) attempt(task string) queue.Attempt {
	return queue.Attempt{Task: task, TaskID: p.TaskID, WorkflowID: p.WorkflowID, Reference: p.Reference,
		Iteration: p.Iteration, Retry: p.Retry, Input: p.Input, ResponseTimeout: time.Duration(p.Timeout) * time.Second}
}

// Poll implements queue.Queue. A poll for several tasks that waits at the server
// waits until it has all of them, while the time-outs of the first ones already run.
// So the poll for several does not wait; a poll for one task after it does.
func (c *Client) Poll(ctx context.Context, task string, max int, wait time.Duration) ([]queue.Attempt, error) {
	got, err := c.batch(ctx, task, max, 0)
	if wait <= 0 || len(got) > 0 || err != nil {
		return got, err
	}
	return c.batch(ctx, task, 1, wait)
}

func (c *Client) batch(ctx context.Context, task string, max int, wait time.Duration) ([]queue.Attempt, error) {
	op := "poll " + task
	a, err := c.call(ctx, request{op: op, method: http.MethodGet, wait: wait, tasks: max,
		path: "/tasks/poll/batch/" + url.PathEscape(task),
		query: url.Values{"workerid": {c.workerID}, "count": {strconv.Itoa(max)},
			"timeout": {strconv.FormatInt(wait.Milliseconds(), 10)}}})
	if err != nil || a.status == http.StatusNoContent {
		return nil, err
	}
	var tasks []json.RawMessage
	if err := json.Unmarshal(a.body, &tasks); err != nil {
		return nil, fmt.Errorf("%s: not a list of tasks: %w", op, err)
	}
	var (
		out []queue.Attempt
		bad []error
	)
	for _, raw := range tasks { // the others are returned even if one cannot be read
		next, err := readTask(raw, task)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", op, err))
			continue
		}
		out = append(out, next)
	}
	return out, errors.Join(bad...)
}

func readTask(raw json.RawMessage, task string) (queue.Attempt, error) {
	var p polled
	if err := json.Unmarshal(raw, &p); err != nil {
		return queue.Attempt{}, fmt.Errorf("not a task: %w", err)
	}
	if p.TaskID == "" || p.WorkflowID == "" {
		return queue.Attempt{}, errors.New("a task without an id")
	}
	return p.attempt(task), nil
}

// namesMax bounds the names in one request for the sizes of queues, in bytes.
const namesMax = 4 << 10

// Waiting implements queue.Queue.
func (c *Client) Waiting(ctx context.Context, tasks []string) (waiting []string, err error) {
	const op = "look at the queues"
	for len(tasks) > 0 {
		query, n, length := url.Values{}, 0, 0
		for ; n < len(tasks) && (n == 0 || length+len(tasks[n]) <= namesMax); n++ {
			query.Add("taskType", tasks[n])
			length += len(tasks[n]) + len("taskType=&")
		}
		a, err := c.call(ctx, request{op: op, method: http.MethodGet, path: "/tasks/queue/sizes", query: query})
		switch a.status {
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
			return nil, fmt.Errorf("%w: %w", queue.ErrUnsupported, err)
		}
		if err != nil {
			return nil, err
		}
		var sizes map[string]int64
		if err := json.Unmarshal(a.body, &sizes); err != nil {
			return nil, fmt.Errorf("%s: not the sizes of queues: %w", op, err)
		}
		for _, task := range tasks[:n] {
			if sizes[task] > 0 {
				waiting = append(waiting, task)
			}
		}
		tasks = tasks[n:]
	}
	return waiting, nil
}

// Report implements queue.Queue: with update-v2, whose response may have the next
// attempt, or with the older update if r.Last is set or the server has no other.
func (c *Client) Report(ctx context.Context, r queue.Report) (*queue.Attempt, error) {
	op := "report " + r.Attempt.TaskID
	result := c.result(r)
	if r.Last || c.noV2.Load() {
		return nil, c.update(ctx, op, result)
	}
	a, err := c.call(ctx, request{op: op, method: http.MethodPost, path: "/tasks/update-v2", body: result})
	switch a.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		// No such task, or no such call: the older update shows which.
		err := c.update(ctx, op, result)
		c.noV2.Store(err == nil)
		return nil, err
	}
	if err != nil {
		return nil, classify(err)
	}
	if len(a.body) == 0 {
		return nil, nil
	}
	// The report is delivered, even if the next attempt cannot be read.
	next, err := readTask(a.body, r.Attempt.Task)
	if err != nil {
		return nil, nil
	}
	return &next, nil
}

// result is the body of an update. Its output is that of the report, unchanged, so
// that numbers stay exact.
type result struct {
	*model.TaskResult
	OutputData json.RawMessage `json:"outputData,omitempty"`
}

func (c *Client) result(r queue.Report) result {
	t := &model.TaskResult{TaskId: r.Attempt.TaskID, WorkflowInstanceId: r.Attempt.WorkflowID,
		WorkerId: c.workerID, Status: model.TaskResultStatus(r.Status), ReasonForIncompletion: r.Reason}
	now := time.Now().UnixMilli()
	for _, line := range r.Log {
		t.Logs = append(t.Logs, model.TaskExecLog{Log: line, TaskId: t.TaskId, CreatedTime: now})
	}
	return result{t, r.Output}
}

// update is the older update, which every server has.
func (c *Client) update(ctx context.Context, op string, result result) error {
	_, err := c.call(ctx, request{op: op, method: http.MethodPost, path: "/tasks", text: true, body: result})
	return classify(err)
}

// classify adds to the error of an update what it means for the attempt.
//
//	404                              the server has no such task: gone
//	400, 409, 413, 415, 422          repeating it gives the same error: rejected
//	no response, 401, 403, 429, 5xx  repeating it may succeed
func classify(err error) error {
	e := (*Error)(nil)
	if !errors.As(err, &e) {
		return err
	}
	switch e.Status {
	case http.StatusNotFound:
		if e.Hint == "" { // else the response is not from the API
			e.cause = queue.ErrGone
		}
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		e.cause = queue.ErrRejected
	}
	return err
}

// extension is the body that extends a lease. It has no status, because a server
// that is too old for extendLease would put the task back on its queue.
type extension struct {
	TaskID     string `json:"taskId"`
	WorkflowID string `json:"workflowInstanceId"`
	WorkerID   string `json:"workerId"`
	Extend     bool   `json:"extendLease"`
}

// Extend implements queue.Leaser.
func (c *Client) Extend(ctx context.Context, a queue.Attempt) error {
	_, err := c.call(ctx, request{op: "extend " + a.TaskID, method: http.MethodPost, path: "/tasks", text: true,
		body: extension{TaskID: a.TaskID, WorkflowID: a.WorkflowID, WorkerID: c.workerID, Extend: true}})
	return classify(err)
}

// Current implements queue.Leaser. It compares the worker in addition to status and
// retry count, since a task that went back to the queue keeps its id.
func (c *Client) Current(ctx context.Context, a queue.Attempt) error {
	op := "look up " + a.TaskID
	got, err := c.call(ctx, request{op: op, method: http.MethodGet, path: "/tasks/" + url.PathEscape(a.TaskID)})
	if err != nil {
		return classify(err)
	}
	var task struct { // not the input and the output, which may be large
		Status   model.TaskResultStatus `json:"status"`
		Retry    int                    `json:"retryCount"`
		WorkerID string                 `json:"workerId"`
	}
	if err := json.Unmarshal(got.body, &task); err != nil {
		return fmt.Errorf("%s: not a task: %w", op, err)
	}
	switch {
	case task.Status != model.InProgressTask:
		return fmt.Errorf("%w: Conductor shows %s as %s", queue.ErrGone, a.TaskID, task.Status)
	case task.Retry != a.Retry:
		return fmt.Errorf("%w: Conductor shows %s at retry %d, this is %d", queue.ErrGone, a.TaskID, task.Retry, a.Retry)
	case task.WorkerID != "" && task.WorkerID != c.workerID:
		return fmt.Errorf("%w: Conductor shows %s with the worker %s", queue.ErrGone, a.TaskID, task.WorkerID)
	}
	return nil
}

// Note implements queue.Leaser. The lines become one entry of the log.
func (c *Client) Note(ctx context.Context, a queue.Attempt, lines []string) error {
	_, err := c.call(ctx, request{op: "log of " + a.TaskID, method: http.MethodPost, text: true,
		path: "/tasks/" + url.PathEscape(a.TaskID) + "/log", body: plainText(strings.Join(lines, "\n"))})
	return classify(err)
}
