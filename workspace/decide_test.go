package workspace

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSight(t *testing.T) {
	ours := map[string]string{keyTask: "t", keyInput: "A", keyCommit: "C"}
	for _, c := range []struct {
		name     string
		metadata map[string]string
		parents  []string
		want     sighting
	}{
		{"someone's merge", nil, []string{"A", "X"}, unrelated},
		{"another task", map[string]string{keyTask: "u", keyInput: "A", keyCommit: "C"}, []string{"A", "C"}, unrelated},
		{"another input", map[string]string{keyTask: "t", keyInput: "B", keyCommit: "C"}, []string{"B", "C"}, unrelated},
		{"ours, as published", ours, []string{"A", "C"}, landed},
		{"ours, on something else", ours, []string{"X", "C"}, astray},
		{"ours, of something else", ours, []string{"A", "X"}, astray},
		{"ours, parents turned round", ours, []string{"C", "A"}, astray},
		{"ours, squashed", ours, []string{"A"}, astray},
		{"ours, with a third parent", ours, []string{"A", "C", "X"}, astray},
		{"ours, without the staged commit", map[string]string{keyTask: "t", keyInput: "A"}, []string{"A", "C"}, astray},
	} {
		if got := sight(Commit{Parents: c.parents, Metadata: c.metadata}, "t", "A"); got != c.want {
			t.Errorf("%s: sight = %d, want %d", c.name, got, c.want)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	for _, c := range []struct {
		err   error
		want  answer
		later bool // may still land
	}{
		{nil, merged, false},
		{&RefusedError{Hook: "run 1: " + FenceMark + ": at X"}, unsure, false},
		{&RefusedError{Hook: "policy"}, foreign, false},
		{&RefusedError{Hook: "policy, and " + FenceMark}, unsure, false},
		{ErrUnknownBranch, final, false},
		{ErrUnknownRepository, final, false},
		{ErrProtected, final, false},
		{ErrConflict, unsure, false},
		{ErrNoChanges, unsure, false},
		{ErrDirty, unsure, false},
		{ErrBusy, unsure, true},
		{errors.New("connection reset"), unsure, true},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("merge: %w", err)
		}
		if got := readAnswer(err); got != c.want {
			t.Errorf("readAnswer(%v) = %d, want %d", c.err, got, c.want)
		}
		if got := mayStillLand(err); got != c.later {
			t.Errorf("mayStillLand(%v) = %t, want %t", c.err, got, c.later)
		}
	}
}

func TestDecide(t *testing.T) {
	both := []bool{true, false}
	for _, c := range []struct {
		seen    []sighting
		answers []answer
		atInput []bool
		left    []bool
		want    move
	}{
		{[]sighting{landed}, []answer{unsure, foreign, final}, both, both, adopt},
		{[]sighting{astray}, []answer{unsure, foreign, final}, both, both, lost},
		{[]sighting{unrelated}, []answer{foreign}, both, both, fail},
		{[]sighting{unrelated}, []answer{final}, both, both, fail},
		{[]sighting{unrelated}, []answer{unsure}, []bool{false}, both, moved},
		{[]sighting{unrelated}, []answer{unsure}, []bool{true}, []bool{true}, repeat},
		{[]sighting{unrelated}, []answer{unsure}, []bool{true}, []bool{false}, fail},
	} {
		for _, seen := range c.seen {
			for _, a := range c.answers {
				for _, at := range c.atInput {
					for _, left := range c.left {
						if got := decide(seen, a, at, left); got != c.want {
							t.Errorf("decide(%d, %d, at input %t, tries left %t) = %d, want %d", seen, a, at, left, got, c.want)
						}
					}
				}
			}
		}
	}
}

func TestSound(t *testing.T) {
	staged := Commit{ID: "C", Tree: "tree"}
	for _, c := range []struct {
		m    Commit
		want bool
	}{
		{Commit{Parents: []string{"A", "C"}, Tree: "tree"}, true},
		{Commit{Parents: []string{"X", "C"}, Tree: "tree"}, false},
		{Commit{Parents: []string{"A", "X"}, Tree: "tree"}, false},
		{Commit{Parents: []string{"C", "A"}, Tree: "tree"}, false},
		{Commit{Parents: []string{"A"}, Tree: "tree"}, false},
		{Commit{Parents: []string{"A", "C"}, Tree: "other"}, false},
	} {
		if got := sound(c.m, staged, "A"); got != c.want {
			t.Errorf("sound(%v, %q) = %t, want %t", c.m.Parents, c.m.Tree, got, c.want)
		}
	}
}

func TestTaskKeys(t *testing.T) {
	keys := []TaskKey{
		{WorkflowID: "a", Reference: "b"},
		{WorkflowID: "a", Reference: "b", Iteration: 1},
		{WorkflowID: "a/b"},
		{WorkflowID: "a/b", Reference: "c"},
		{WorkflowID: "a", Reference: "b/c"},
		{WorkflowID: "a%2Fb", Reference: "c"},
		{Reference: "b", TaskID: "1"},
		{Reference: "b", TaskID: "2"},
	}
	names := make(map[string]TaskKey)
	for _, k := range keys {
		for _, name := range []string{k.key(), k.hash(), k.branches()} {
			if other, taken := names[name]; taken {
				t.Errorf("%+v and %+v share the name %s", k, other, name)
			}
			names[name] = k
		}
	}
	k := TaskKey{WorkflowID: "a", Reference: "b", TaskID: "1"}
	retry := TaskKey{WorkflowID: "a", Reference: "b", TaskID: "2", Retry: 3}
	if k.key() != retry.key() || k.branches() != retry.branches() {
		t.Error("two attempts of one task do not share its key")
	}
	branch := retry.newBranch()
	if !strings.HasPrefix(branch, k.branches()+"3-") || branch == retry.newBranch() {
		t.Errorf("newBranch = %s, want the task's prefix, the retry, and another end each time", branch)
	}
}
