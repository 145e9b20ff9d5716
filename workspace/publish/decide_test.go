package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"perago/workspace/attempts"
	"perago/workspace/fence"
	"perago/workspace/storage"
)

func TestSight(t *testing.T) {
	ours := map[string]string{keyTask: "t", keyInput: "A", keyCommit: "C"}
	for _, c := range []struct {
		name     string
		metadata map[string]string
		parents  []string
		want     landing
	}{
		{"someone's merge", nil, []string{"A", "X"}, unrelated},
		{"another task", map[string]string{keyTask: "u", keyInput: "A", keyCommit: "C"}, []string{"A", "C"}, unrelated},
		{"another input", map[string]string{keyTask: "t", keyInput: "B", keyCommit: "C"}, []string{"B", "C"}, unrelated},
		{"ours, as published", ours, []string{"A", "C"}, landed},
		{"ours, on something else", ours, []string{"X", "C"}, landedElsewhere},
		{"ours, of something else", ours, []string{"A", "X"}, landedElsewhere},
		{"ours, parents turned round", ours, []string{"C", "A"}, landedElsewhere},
		{"ours, squashed", ours, []string{"A"}, landedElsewhere},
		{"ours, with a third parent", ours, []string{"A", "C", "X"}, landedElsewhere},
		{"ours, without the staged commit", map[string]string{keyTask: "t", keyInput: "A"}, []string{"A", "C"}, unrelated},
	} {
		if got := classifyCommit(storage.Commit{Parents: c.parents, Metadata: c.metadata}, "t", "A"); got != c.want {
			t.Errorf("%s: classifyCommit = %d, want %d", c.name, got, c.want)
		}
	}
}

func TestVouch(t *testing.T) {
	task := attempts.TaskKey{Name: "t", WorkflowID: "wf", Reference: "ref", TaskID: "id/0", Retry: 1}
	made := func() (m, c storage.Commit) {
		branch := task.NewBranch()
		m = storage.Commit{ID: "M", Parents: []string{"A", "C"}, Tree: "T", Metadata: sharedMetadata(task, "A", branch)}
		m.Metadata[keyCommit] = "C"
		c = storage.Commit{ID: "C", Parents: []string{"A"}, Tree: "T", Metadata: sharedMetadata(task, "A", branch)}
		c.Metadata[keyResult] = "1"
		return m, c
	}
	both := func(key, value string) func(m, c *storage.Commit) {
		return func(m, c *storage.Commit) { m.Metadata[key], c.Metadata[key] = value, value }
	}
	other := task
	other.WorkflowID = "other"
	for name, tt := range map[string]struct {
		change func(m, c *storage.Commit)
		want   string // part of it; "" is nothing against it
	}{
		"as made":                    {func(m, c *storage.Commit) {}, ""},
		"landedElsewhere":            {func(m, c *storage.Commit) { m.Parents[0], m.Tree = "X", "U" }, ""},
		"a result object":            {func(m, c *storage.Commit) { c.Metadata[keyObject] = resultPath(task) }, ""},
		"of no commit":               {func(m, c *storage.Commit) { *c = storage.Commit{} }, "does not stand on the input"},
		"on another commit":          {func(m, c *storage.Commit) { c.Parents = []string{"X"} }, "does not stand on the input"},
		"a merge":                    {func(m, c *storage.Commit) { c.Parents = []string{"A", "X"} }, "does not stand on the input"},
		"without marks":              {func(m, c *storage.Commit) { c.Metadata = map[string]string{keyResult: "1"} }, "the same perago.task"},
		"of another task":            {func(m, c *storage.Commit) { c.Metadata[keyTask] = "u" }, "the same perago.task"},
		"of another input":           {func(m, c *storage.Commit) { c.Metadata[keyInput] = "X" }, "the same perago.input"},
		"of another attempt":         {func(m, c *storage.Commit) { c.Metadata[keyTry] = "id/2" }, "the same perago.attempt"},
		"of another branch":          {func(m, c *storage.Commit) { c.Metadata[keyBranch] = task.NewBranch() }, "the same perago.staging"},
		"without a branch":           {func(m, c *storage.Commit) { delete(m.Metadata, keyBranch); delete(c.Metadata, keyBranch) }, "the same perago.staging"},
		"branch of someone":          {both(keyBranch, "forge"), "on a branch of this task"},
		"branch of another task":     {both(keyBranch, other.NewBranch()), "on a branch of this task"},
		"branch of another attempt":  {both(keyTry, "id/2"), "on a branch of this task"},
		"no number of an attempt":    {both(keyTry, "id"), "on a branch of this task"},
		"result of somewhere else":   {func(m, c *storage.Commit) { c.Metadata[keyObject] = "private/payroll.json" }, "its result is not where"},
		"holds what was not staged":  {func(m, c *storage.Commit) { m.Tree = "U" }, "does not hold what was staged"},
		"result of another's folder": {func(m, c *storage.Commit) { c.Metadata[keyObject] = resultPath(other) }, "its result is not where"},
	} {
		m, c := made()
		tt.change(&m, &c)
		if got := checkStaged(m, c, task, "A"); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: checkStaged = %q, want %q", name, got, tt.want)
		}
	}
}

// endless is a store whose objects do not end.
type endless struct{ storage.Store }

func (endless) Open(context.Context, string, string, string) (io.ReadCloser, error) {
	return io.NopCloser(zeros{}), nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRecordedResultIsBounded(t *testing.T) {
	s := &session{Publisher: &Publisher{Store: endless{}}}
	for name, metadata := range map[string]map[string]string{
		"an object":            {keyObject: resultPath(s.Task)},
		"metadata":             {keyResult: strings.Repeat(" ", resultObjectMax) + "1"},
		"metadata, not JSON":   {keyResult: "{"},
		"neither of the two":   {},
		"an object of nothing": {keyObject: ""},
	} {
		if got, err := s.recorded(t.Context(), storage.Commit{ID: "C", Metadata: metadata}); err == nil {
			t.Errorf("%s: recorded = %d bytes, want an error", name, len(got))
		}
	}
}

func TestReadAnswer(t *testing.T) {
	for _, c := range []struct {
		err   error
		want  response
		later bool // may still land
	}{
		{nil, merged, false},
		{&storage.RefusedError{Hook: "run 1: " + fence.Mark + ": at X"}, unsure, false},
		{&storage.RefusedError{Hook: "policy"}, foreign, false},
		{&storage.RefusedError{Hook: "policy, and " + fence.Mark}, unsure, false},
		{storage.ErrUnknownBranch, final, false},
		{storage.ErrUnknownRepository, final, false},
		{storage.ErrProtected, final, false},
		{storage.ErrConflict, unsure, false},
		{storage.ErrNoChanges, unsure, false},
		{storage.ErrDirty, unsure, false},
		{storage.ErrBusy, unsure, true},
		{errors.New("connection reset"), unsure, true},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("merge: %w", err)
		}
		if got := classifyResponse(err); got != c.want {
			t.Errorf("classifyResponse(%v) = %d, want %d", c.err, got, c.want)
		}
		if got := mayStillLand(err); got != c.later {
			t.Errorf("mayStillLand(%v) = %t, want %t", c.err, got, c.later)
		}
	}
}

func TestDecide(t *testing.T) {
	both := []bool{true, false}
	for _, c := range []struct {
		seen    []landing
		answers []response
		there   []bool // the head is the one that was expected
		mayMove []bool
		left    []bool
		want    action
	}{
		{[]landing{landed}, []response{unsure, foreign, final}, both, both, both, adopt},
		{[]landing{landedElsewhere}, []response{unsure, foreign, final}, both, both, both, lost},
		{[]landing{unrelated}, []response{foreign}, both, both, both, fail},
		{[]landing{unrelated}, []response{final}, both, both, both, fail},
		{[]landing{unrelated}, []response{unsure}, []bool{false}, []bool{false}, both, moved},
		{[]landing{unrelated}, []response{unsure}, []bool{false}, []bool{true}, both, rebase},
		{[]landing{unrelated}, []response{unsure}, []bool{true}, both, []bool{true}, repeat},
		{[]landing{unrelated}, []response{unsure}, []bool{true}, both, []bool{false}, fail},
	} {
		for _, seen := range c.seen {
			for _, a := range c.answers {
				for _, there := range c.there {
					for _, may := range c.mayMove {
						for _, left := range c.left {
							if got := decide(seen, a, there, may, left); got != c.want {
								t.Errorf("decide(%d, %d, as expected %t, may move %t, tries left %t) = %d, want %d", seen, a, there, may, left, got, c.want)
							}
						}
					}
				}
			}
		}
	}
}

func TestSound(t *testing.T) {
	staged := storage.Commit{ID: "C", Tree: "tree"}
	for _, c := range []struct {
		m    storage.Commit
		want bool
	}{
		{storage.Commit{Parents: []string{"A", "C"}, Tree: "tree"}, true},
		{storage.Commit{Parents: []string{"X", "C"}, Tree: "tree"}, false},
		{storage.Commit{Parents: []string{"A", "X"}, Tree: "tree"}, false},
		{storage.Commit{Parents: []string{"C", "A"}, Tree: "tree"}, false},
		{storage.Commit{Parents: []string{"A"}, Tree: "tree"}, false},
		{storage.Commit{Parents: []string{"A", "C"}, Tree: "other"}, false},
	} {
		if got := isExpectedMerge(c.m, staged, "A", "A"); got != c.want {
			t.Errorf("isExpectedMerge(%v, %q) = %t, want %t", c.m.Parents, c.m.Tree, got, c.want)
		}
	}
}
