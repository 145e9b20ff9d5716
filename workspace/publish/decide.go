package publish

// What publication decides, as functions of values. The tables in the comments
// are the tables of decide_test.go.

import (
	"errors"
	"strconv"
	"strings"

	"perago/workspace/attempts"
	"perago/workspace/fence"
	"perago/workspace/storage"
)

// Metadata of the merge commit, and of the commit that it merges.
const (
	keyExpect = "perago.expect"  // merge: the head that the fence wants; absent at the client level
	keyTask   = "perago.task"    // both: which task, over all its attempts
	keyInput  = "perago.input"   // both: the input commit
	keyTry    = "perago.attempt" // both: task id and retry count
	keyBranch = "perago.staging" // both: the staging branch
	keyCommit = "perago.commit"  // merge: the staged commit
	keyResult = "perago.result"  // staged commit: the result as JSON
	keyObject = "perago.result.object"
)

// marks is the metadata that the merge and the commit that it merges share.
func marks(k attempts.TaskKey, input, branch string) map[string]string {
	return map[string]string{keyTask: k.Key(), keyInput: input, keyTry: k.Attempt(), keyBranch: branch}
}

// Folders of perago's own at the root of a repository; no workspace shows them.
const (
	ownFolder     = "_perago/"
	resultsFolder = ownFolder + "results/" // results too large for a commit's metadata
)

// resultPath is where a result is kept that is too large for metadata.
func resultPath(k attempts.TaskKey) string { return resultsFolder + k.Hash() + ".json" }

// sighting is what one commit on a branch's first parents means to a task.
type sighting int

const (
	unrelated sighting = iota // not of this task, or of another input
	landed                    // the task's publication, on its input commit
	astray                    // the task's publication, on something else: a race lost without the fence
)

// sight looks at one commit. Where it says so in perago.expect, it was to stand on
// that commit, else on the input.
//
//	perago.task, perago.input   first parent     second parent    sighting
//	not ours                    any              any              unrelated
//	ours                        as it was to be  perago.commit    landed
//	ours                        another          any              astray
//	ours                        as it was to be  another, none    astray
//	ours, no perago.commit      any              any              unrelated
func sight(c storage.Commit, task, input string) sighting {
	if c.Metadata[keyTask] != task || c.Metadata[keyInput] != input || c.Metadata[keyCommit] == "" {
		return unrelated
	}
	if len(c.Parents) == 2 && c.Parents[0] == onto(c, input) && c.Parents[1] == c.Metadata[keyCommit] {
		return landed
	}
	return astray
}

// onto is the commit that a publication was to stand on.
func onto(c storage.Commit, input string) string {
	if expect := c.Metadata[keyExpect]; expect != "" {
		return expect
	}
	return input
}

// vouch says why c is not the staged commit that this protocol makes before m,
// a merge with the keys of task k; "" when it is. Whoever may merge can put
// the keys on a merge of their own.
//
//	c                                                       vouch
//	one parent, the input; the marks of m, all of them      ""
//	a parent beside the input, or another one               stands on something else
//	a mark that is missing, or is not what m says           says another …
//	a staging branch that no attempt of the task makes      was not staged on a branch of the task
//	a result at another path than that of the task          its result is not where …
//	m stands on the input, and holds something else than c  holds something else
func vouch(m, c storage.Commit, k attempts.TaskKey, input string) string {
	if len(c.Parents) != 1 || c.Parents[0] != input {
		return "its staged commit does not stand on the input alone"
	}
	for _, key := range []string{keyTask, keyInput, keyTry, keyBranch} {
		if c.Metadata[key] == "" || c.Metadata[key] != m.Metadata[key] {
			return "its staged commit does not have the same " + key
		}
	}
	try := m.Metadata[keyTry]
	var err error
	if k.Retry, err = strconv.Atoi(try[strings.LastIndex(try, "/")+1:]); err != nil || !k.Owns(m.Metadata[keyBranch]) {
		return "it was not staged on a branch of this task"
	}
	if path := c.Metadata[keyObject]; path != "" && path != resultPath(k) {
		return "its result is not where one of this task is kept"
	}
	if len(m.Parents) > 0 && m.Parents[0] == input && !sound(m, c, input, input) {
		return "it does not hold what was staged"
	}
	return ""
}

// answer is what came back from one merge request.
type answer int

const (
	merged  answer = iota
	unsure         // refused by the fence, conflict, no changes, busy, dirty, or nothing at all: it may have landed
	foreign        // refused by a hook of the repository's owner
	final          // it cannot be: no such branch, protected
)

// readAnswer classifies the error of a merge.
//
//	error                                answer
//	none                                 merged
//	a hook's, with the fence's mark      unsure: it may be our own earlier request that moved the head
//	a hook's, without                    foreign
//	no such branch or repository         final
//	the branch is protected              final
//	anything else                        unsure
func readAnswer(err error) answer {
	var refused *storage.RefusedError
	switch {
	case err == nil:
		return merged
	case errors.As(err, &refused):
		if strings.Contains(refused.Hook, fence.Mark) {
			return unsure
		}
		return foreign
	case errors.Is(err, storage.ErrUnknownBranch), errors.Is(err, storage.ErrUnknownRepository), errors.Is(err, storage.ErrProtected):
		return final
	}
	return unsure
}

// mayStillLand says whether a merge request with this error could reach the
// branch later. The answers that are named here are the server's last word on it.
func mayStillLand(err error) bool {
	var refused *storage.RefusedError
	return err != nil && !errors.As(err, &refused) && !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrNoChanges) &&
		!errors.Is(err, storage.ErrDirty) && readAnswer(err) == unsure
}

// move is what the publisher does next.
type move int

const (
	adopt  move = iota // it is published: by us, or by a twin
	lost               // it is on the branch, on top of something else
	moved              // it is not on the branch, and the branch is elsewhere
	repeat             // it is not on the branch, which is still where the merge wants it
	rebase             // the same as moved, where the branch may have moved
	fail               // nothing more to try: the answer is the reason
)

// decide says what to do after a merge request whose answer was not "merged",
// and after a look at the branch that followed it. "merged" is never assumed,
// nor is anything from any other answer: only what the branch shows counts.
// asExpected: the head is the one that the request was to stand on. mayMove: the
// task can do with a branch that moved (on_moved = "rebase").
//
//	sighting   answer    head       may move   tries left   move
//	landed     any       any        any        any          adopt
//	astray     any       any        any        any          lost
//	unrelated  foreign   any        any        any          fail
//	unrelated  final     any        any        any          fail
//	unrelated  unsure    elsewhere  no         any          moved
//	unrelated  unsure    elsewhere  yes        any          rebase
//	unrelated  unsure    expected   any        yes          repeat
//	unrelated  unsure    expected   any        no           fail
func decide(seen sighting, a answer, asExpected, mayMove, triesLeft bool) move {
	switch {
	case seen == landed:
		return adopt
	case seen == astray:
		return lost
	case a == foreign, a == final:
		return fail
	case !asExpected && mayMove:
		return rebase
	case !asExpected:
		return moved
	case triesLeft:
		return repeat
	}
	return fail
}

// sound says whether a merge commit is what the fence promises: it stands on
// the commit it was to stand on and on the staged one. What it holds is the
// staged commit where that is the input; else it has to be compared (sameChange).
func sound(m, staged storage.Commit, expect, input string) bool {
	return len(m.Parents) == 2 && m.Parents[0] == expect && m.Parents[1] == staged.ID &&
		(expect != input || m.Tree == staged.Tree)
}
