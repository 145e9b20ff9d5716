package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"perago/e2e/servers"
	"perago/engine/conductor"
	"perago/engine/queue"
	"perago/engine/queuetest"
)

// TestQueueOnConductor holds the adapter, and with it a real server, to what the
// queue in memory does.
func TestQueueOnConductor(t *testing.T) {
	c := conductor.New(conductor.Options{URL: shared.API(), WorkerID: "e2e", Timeout: 2 * time.Minute})
	queuetest.Run(t, queuetest.Backend{Queue: c, Leaser: c, Server: conductorServer{shared}})
	t.Run("TaskDef", func(t *testing.T) { taskDef(t, c) })
	t.Run("check", func(t *testing.T) {
		got, err := c.Check(t.Context())
		if err != nil || got != (conductor.Server{}) {
			t.Errorf("got %+v, %v, want nothing to complain about", got, err)
		}
	})
}

// conductorServer is the far side of a real Conductor.
type conductorServer struct{ *servers.Conductor }

func (s conductorServer) Define(ctx context.Context, d queuetest.Definition) error {
	err := s.Call(ctx, "POST /metadata/taskdefs", []any{map[string]any{
		"name": d.Name, "retryCount": d.Retries, "retryLogic": "FIXED", "retryDelaySeconds": int(d.RetryDelay.Seconds()),
		"timeoutSeconds": 0, "responseTimeoutSeconds": int(d.ResponseTimeout.Seconds()), "totalTimeoutSeconds": 0,
		"ownerEmail": "e2e@example.com"}}, nil)
	if err != nil {
		return err
	}
	return s.DefineWorkflow(ctx, d.Name, []servers.WorkflowTask{{Name: d.Name, Reference: "step", Type: "SIMPLE",
		Input: map[string]any{"params": "${workflow.input.params}"}}})
}

func (s conductorServer) Start(ctx context.Context, task string, input json.RawMessage) (string, error) {
	return s.StartWorkflow(ctx, task, input)
}

func (s conductorServer) Terminate(ctx context.Context, workflow string) error {
	return s.Call(ctx, "DELETE /workflow/"+workflow, nil, nil)
}

func (s conductorServer) Tasks(ctx context.Context, workflow string) ([]queuetest.Task, error) {
	w, err := s.Workflow(ctx, workflow)
	if err != nil {
		return nil, err
	}
	var out []queuetest.Task
	for _, run := range w.Tasks {
		lines, err := s.TaskLog(ctx, run.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, queuetest.Task{ID: run.ID, Retry: run.Retry, Status: queue.Status(run.Status),
			Reason: run.Reason, Output: run.Output, Log: lines})
	}
	slices.SortStableFunc(out, func(a, b queuetest.Task) int { return cmp.Compare(a.Retry, b.Retry) })
	return out, nil
}

func taskDef(t *testing.T, c *conductor.Client) {
	ctx := t.Context()
	def := func(retries int) []byte {
		return fmt.Appendf(nil, `{"name": "e2e.taskdef", "ownerEmail": "a@b.c", "retryCount": %d, "retryLogic": "FIXED",
			"retryDelaySeconds": 60, "maxRetryDelaySeconds": 0, "backoffJitterMs": 0, "totalTimeoutSeconds": 0,
			"timeoutPolicy": "TIME_OUT_WF", "timeoutSeconds": 0, "responseTimeoutSeconds": 600, "pollTimeoutSeconds": 0,
			"inputKeys": ["params"], "outputKeys": ["result"],
			"inputSchema": {"name": "e2e.taskdef.input", "version": 1, "type": "JSON", "data": {"type": "object",
				"properties": {"params": {"type": "object", "properties": {"n": {"type": "number", "minimum": 0.0, "default": null}}}},
				"required": ["params"], "additionalProperties": true}}}`, retries)
	}
	registered := func() json.RawMessage {
		t.Helper()
		got, err := c.Registered(ctx, "e2e.taskdef")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	differs := func(local []byte) string {
		t.Helper()
		diff, err := conductor.Diff(local, registered())
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, d := range diff {
			out += fmt.Sprintf("%s: %s at Conductor, %s here;", d.Field, d.Registered, d.Local)
		}
		return out
	}
	if _, err := c.Registered(ctx, "e2e.taskdef"); !errors.Is(err, conductor.ErrNotRegistered) {
		t.Fatalf("before it is registered: got %v", err)
	}
	if err := c.Create(ctx, def(3)); err != nil {
		t.Fatal(err)
	}
	if got := differs(def(3)); got != "" {
		t.Errorf("after create: %s", got)
	}
	if got, want := differs(def(4)), "retryCount: 3 at Conductor, 4 here;"; got != want {
		t.Errorf("changed: got %q, want %q", got, want)
	}
	if err := c.Update(ctx, def(4), registered()); err != nil {
		t.Fatal(err)
	}
	if got := differs(def(4)); got != "" {
		t.Errorf("after update: %s", got)
	}
}
