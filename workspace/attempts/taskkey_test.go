package attempts

import (
	"strings"
	"testing"
)

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
		for _, name := range []string{k.Key(), k.Hash(), k.BranchPrefix()} {
			if other, taken := names[name]; taken {
				t.Errorf("%+v and %+v share the name %s", k, other, name)
			}
			names[name] = k
		}
	}
	k := TaskKey{WorkflowID: "a", Reference: "b", TaskID: "1"}
	retry := TaskKey{WorkflowID: "a", Reference: "b", TaskID: "2", Retry: 3}
	if k.Key() != retry.Key() || k.BranchPrefix() != retry.BranchPrefix() {
		t.Error("two attempts of one task do not share its key")
	}
	branch := retry.NewBranch()
	if !strings.HasPrefix(branch, k.BranchPrefix()+"3-") || branch == retry.NewBranch() {
		t.Errorf("newBranch = %s, want the task's prefix, the retry, and another end each time", branch)
	}
}
