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

// Key identifies the task; all its attempts have the same key. The parts are
// escaped, so that no two tasks share a key.
func (k TaskKey) Key() string {
	workflow := k.WorkflowID
	if workflow == "" {
		workflow = k.TaskID // no workflow: a task of its own
	}
	return fmt.Sprintf("%s/%s/%d", url.PathEscape(workflow), url.PathEscape(k.Reference), k.Iteration)
}

// Hash is a hash of the key, for names that take only letters and digits.
func (k TaskKey) Hash() string {
	sum := sha256.Sum256([]byte(k.Key()))
	return hex.EncodeToString(sum[:16])
}

// Attempt identifies this attempt.
func (k TaskKey) Attempt() string { return fmt.Sprintf("%s/%d", k.TaskID, k.Retry) }

// BranchPrefix is what the names of the task's staging branches start with.
func (k TaskKey) BranchPrefix() string { return "perago-" + k.Hash() + "-" }

// NewBranch is a name for a staging branch. No two calls return the same name.
func (k TaskKey) NewBranch() string {
	return fmt.Sprintf("%s%d-%s", k.BranchPrefix(), k.Retry, randomName())
}

// Owns says whether NewBranch of this attempt can have made the name.
func (k TaskKey) Owns(branch string) bool {
	rest, ok := strings.CutPrefix(branch, k.BranchPrefix())
	retry, random, dash := strings.Cut(rest, "-")
	return ok && dash && isRandomName(random) && retry == strconv.Itoa(k.Retry)
}

// SelfTestBranches are the names of the two branches of a self-test.
func SelfTestBranches() (from, into string) {
	name := "perago-selftest-" + randomName()
	return name + "-from", name + "-into"
}

// isSelfTestBranch says whether SelfTestBranches can have made the name.
func isSelfTestBranch(branch string) bool {
	rest, ok := strings.CutPrefix(branch, "perago-selftest-")
	random, end, dash := strings.Cut(rest, "-")
	return ok && dash && isRandomName(random) && (end == "from" || end == "into")
}

// isRandomName says whether randomName can have made the name.
func isRandomName(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == 16 && name == strings.ToLower(name)
}

// randomName is 16 random hex digits.
func randomName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}
