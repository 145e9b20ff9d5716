package attempts

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// TaskKey names one task of one workflow over all its attempts, and the attempt.
type TaskKey struct {
	Name       string `json:"name"` // TaskDef name
	WorkflowID string `json:"workflow_id"`
	Reference  string `json:"reference"`
	Iteration  int    `json:"iteration"`
	TaskID     string `json:"task_id"` // of this attempt
	Retry      int    `json:"retry"`
}

// key names the task over all its attempts. Two tasks never share one: the
// parts are escaped.
func (k TaskKey) Key() string {
	workflow := k.WorkflowID
	if workflow == "" {
		workflow = k.TaskID // no workflow: a task of its own
	}
	return fmt.Sprintf("%s/%s/%d", url.PathEscape(workflow), url.PathEscape(k.Reference), k.Iteration)
}

// hash stands for the key where only letters and digits may.
func (k TaskKey) Hash() string {
	sum := sha256.Sum256([]byte(k.Key()))
	return hex.EncodeToString(sum[:16])
}

// attempt names this attempt.
func (k TaskKey) Attempt() string { return fmt.Sprintf("%s/%d", k.TaskID, k.Retry) }

// branches is what the names of the task's staging branches start with.
func (k TaskKey) BranchPrefix() string { return "perago-" + k.Hash() + "-" }

// newBranch is a name for a staging branch that was never used and never will be again.
func (k TaskKey) NewBranch() string {
	return fmt.Sprintf("%s%d-%s", k.BranchPrefix(), k.Retry, randomName())
}

// owns says whether newBranch may have made the name.
func (k TaskKey) Owns(branch string) bool {
	rest, ok := strings.CutPrefix(branch, k.BranchPrefix())
	retry, random, dash := strings.Cut(rest, "-")
	return ok && dash && isRandomName(random) && retry == strconv.Itoa(k.Retry)
}

// throwaways are the names of the two branches of a self-test.
func SelfTestBranches() (from, into string) {
	name := "perago-selftest-" + randomName()
	return name + "-from", name + "-into"
}

// isThrowaway says whether throwaways may have made the name.
func isSelfTestBranch(branch string) bool {
	rest, ok := strings.CutPrefix(branch, "perago-selftest-")
	random, end, dash := strings.Cut(rest, "-")
	return ok && dash && isRandomName(random) && (end == "from" || end == "into")
}

// isRandomName says whether randomName may have made the name.
func isRandomName(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == 16 && name == strings.ToLower(name)
}

// randomName is 16 hex digits that nobody had before.
func randomName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}
