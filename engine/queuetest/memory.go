package queuetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"perago/engine/queue"
)

// Memory is a queue in this process, which tests use in place of Conductor. Run tests
// that both behave the same. A workflow in it has one task, with as many attempts as
// its Definition allows.
type Memory struct {
	mu      sync.Mutex
	defs    map[string]Definition
	tasks   []*memoryTask // in the order they were made
	changed chan struct{} // closed when something was queued
	ids     int
}

type memoryTask struct {
	Task
	attempt queue.Attempt
	ready   time.Time // when it may be polled
	expires time.Time // of the lease; zero is never
	over    bool      // its workflow is over
}

// NewMemory returns an empty queue.
func NewMemory() *Memory {
	return &Memory{defs: make(map[string]Definition), changed: make(chan struct{})}
}

// Define registers or replaces a task.
func (m *Memory) Define(_ context.Context, d Definition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.defs[d.Name] = d
	return nil
}

// Start starts a workflow of one task and returns its id.
func (m *Memory) Start(_ context.Context, task string, input json.RawMessage) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.defs[task]
	if !ok {
		return "", fmt.Errorf("start %s: no such task", task)
	}
	m.ids++
	workflow := fmt.Sprintf("workflow-%d", m.ids)
	m.schedule(queue.Attempt{Task: task, WorkflowID: workflow, Reference: task + "_ref",
		Input: slices.Clone(input), ResponseTimeout: d.ResponseTimeout}, 0)
	return workflow, nil
}

// schedule queues an attempt; the lock is held.
func (m *Memory) schedule(a queue.Attempt, delay time.Duration) {
	m.ids++
	a.TaskID = fmt.Sprintf("task-%d", m.ids)
	m.tasks = append(m.tasks, &memoryTask{attempt: a, ready: time.Now().Add(delay),
		Task: Task{ID: a.TaskID, Retry: a.Retry, Status: Scheduled}})
	close(m.changed)
	m.changed = make(chan struct{})
}

// Tasks returns the attempts of a workflow, oldest first.
func (m *Memory) Tasks(_ context.Context, workflow string) ([]Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	var out []Task
	for _, t := range m.tasks {
		if t.attempt.WorkflowID == workflow {
			task := t.Task
			task.Log = slices.Clone(t.Log)
			out = append(out, task)
		}
	}
	return out, nil
}

// Terminate ends a workflow from outside.
func (m *Memory) Terminate(_ context.Context, workflow string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tasks {
		if t.attempt.WorkflowID == workflow {
			t.over = true
			if t.Status == InProgress || t.Status == Scheduled {
				t.Status = Canceled
			}
		}
	}
	return nil
}

// Poll implements queue.Queue.
func (m *Memory) Poll(ctx context.Context, task string, max int, wait time.Duration) ([]queue.Attempt, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		m.mu.Lock()
		got, due := m.pop(task, max)
		changed := m.changed
		m.mu.Unlock()
		if len(got) > 0 || wait <= 0 {
			return got, nil
		}
		ready := make(<-chan time.Time)
		if due > 0 {
			retry := time.NewTimer(due)
			defer retry.Stop()
			ready = retry.C
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-ready:
		case <-timer.C:
			return nil, nil
		}
	}
}

// Waiting implements queue.Queue.
func (m *Memory) Waiting(ctx context.Context, tasks []string) (waiting []string, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	for _, name := range tasks {
		if slices.ContainsFunc(m.tasks, func(t *memoryTask) bool { return t.attempt.Task == name && t.Status == Scheduled }) {
			waiting = append(waiting, name)
		}
	}
	return waiting, nil
}

// pop takes attempts that are ready, and returns how long until the next is; the lock is held.
func (m *Memory) pop(task string, max int) (got []queue.Attempt, due time.Duration) {
	m.expire()
	now := time.Now()
	for _, t := range m.tasks {
		if t.attempt.Task != task || t.Status != Scheduled {
			continue
		}
		if left := t.ready.Sub(now); left > 0 {
			if due == 0 || left < due {
				due = left
			}
			continue
		}
		if len(got) == max {
			break
		}
		t.Status = InProgress
		t.renew()
		got = append(got, t.attempt)
	}
	return got, due
}

func (t *memoryTask) renew() {
	if t.attempt.ResponseTimeout > 0 {
		t.expires = time.Now().Add(t.attempt.ResponseTimeout)
	}
}

// expire times out the attempts whose lease has expired; the lock is held.
func (m *Memory) expire() {
	now := time.Now()
	for _, t := range slices.Clone(m.tasks) {
		if t.Status == InProgress && !t.expires.IsZero() && !now.Before(t.expires) {
			t.Status = TimedOut
			m.retry(t)
		}
	}
}

// retry queues the next attempt, if one is left; the lock is held.
func (m *Memory) retry(t *memoryTask) {
	d := m.defs[t.attempt.Task]
	if t.over || t.attempt.Retry >= d.Retries {
		t.over = true
		return
	}
	next := t.attempt
	next.Retry++
	m.schedule(next, d.RetryDelay)
}

// Report implements queue.Queue.
func (m *Memory) Report(ctx context.Context, r queue.Report) (*queue.Attempt, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.find(r.Attempt)
	if t == nil {
		return nil, queue.ErrGone
	}
	if t.Status == InProgress && !t.over { // else the report is ignored, without an error
		t.Status, t.Reason, t.Output = r.Status, r.Reason, slices.Clone(r.Output)
		t.Log = append(t.Log, r.Log...)
		if t.Status == queue.Failed {
			m.retry(t)
		}
	}
	if r.Last {
		return nil, nil
	}
	if next, _ := m.pop(r.Attempt.Task, 1); len(next) > 0 {
		return &next[0], nil
	}
	return nil, nil
}

// find returns an attempt, after expire; the lock is held.
func (m *Memory) find(a queue.Attempt) *memoryTask {
	m.expire()
	for _, t := range m.tasks {
		if t.ID == a.TaskID {
			return t
		}
	}
	return nil
}

// with does something to a try while the lock is held; one that is not there is
// gone.
func (m *Memory) with(ctx context.Context, a queue.Attempt, do func(t *memoryTask) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.find(a); t != nil {
		return do(t)
	}
	return queue.ErrGone
}

// Extend implements queue.Leaser.
func (m *Memory) Extend(ctx context.Context, a queue.Attempt) error {
	return m.with(ctx, a, func(t *memoryTask) error {
		if t.Status == InProgress && !t.over {
			t.renew()
		}
		return nil
	})
}

// Delay queues an attempt of a task that may be polled after d.
func (m *Memory) Delay(task string, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.schedule(queue.Attempt{Task: task}, d)
}

// Stale acts as a server that is slow to extend a lease: it reads the attempt now, and
// writes that back when write is called, over what was reported meanwhile. Conductor
// does so.
func (m *Memory) Stale(a queue.Attempt) (write func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.find(a)
	read := *t
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		*t = read
		t.renew()
	}
}

// Current implements queue.Leaser.
func (m *Memory) Current(ctx context.Context, a queue.Attempt) error {
	return m.with(ctx, a, func(t *memoryTask) error {
		if t.Status != InProgress || t.over || t.Retry != a.Retry {
			return queue.ErrGone
		}
		return nil
	})
}

// Note implements queue.Leaser.
func (m *Memory) Note(ctx context.Context, a queue.Attempt, lines []string) error {
	return m.with(ctx, a, func(t *memoryTask) error {
		t.Log = append(t.Log, strings.Join(lines, "\n"))
		return nil
	})
}
