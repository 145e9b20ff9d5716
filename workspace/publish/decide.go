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

// sharedMetadata is the metadata that the merge and the staged commit both have.
func sharedMetadata(k attempts.TaskKey, input, branch string) map[string]string {
	return map[string]string{keyTask: k.Key(), keyInput: input, keyTry: k.Attempt(), keyBranch: branch}
}

// Folders of perago's own at the root of a repository; no workspace shows them.
const (
	ownFolder     = "_perago/"
	resultsFolder = ownFolder + "results/" // results too large for a commit's metadata
)

// resultPath is where a result is kept that is too large for metadata.
func resultPath(k attempts.TaskKey) string { return resultsFolder + k.Hash() + ".json" }

// landing is whether a commit of a branch is the publication of a task.
type landing int

const (
	unrelated       landing = iota // not of this task, or of another input
	landed                         // the task's publication, on its input commit
	landedElsewhere                // the task's publication, on another commit: a race lost without the fence
)

// classifyCommit classifies one commit by its metadata and parents.
//
//	perago.task, perago.input   first parent     second parent    landing
//	not ours                    any              any              unrelated
//	ours                        expectedParent   perago.commit    landed
//	ours                        another          any              landedElsewhere
//	ours                        expectedParent   another, none    landedElsewhere
//	ours, no perago.commit      any              any              unrelated
func classifyCommit(c storage.Commit, task, input string) landing {
	if c.Metadata[keyTask] != task || c.Metadata[keyInput] != input || c.Metadata[keyCommit] == "" {
		return unrelated
	}
	if len(c.Parents) == 2 && c.Parents[0] == expectedParent(c, input) && c.Parents[1] == c.Metadata[keyCommit] {
		return landed
	}
	return landedElsewhere
}

// expectedParent is the commit that a publication was to stand on: the one in
// perago.expect, else the input.
func expectedParent(c storage.Commit, input string) string {
	if expect := c.Metadata[keyExpect]; expect != "" {
		return expect
	}
	return input
}

// checkStaged says why c is not the staged commit that this protocol makes before m,
// a merge with the keys of task k; "" when it is. Anybody who may merge can put
// the keys on a merge of their own.
//
//	c                                                       checkStaged
//	one parent, the input; the same metadata as m           ""
//	other parents                                           does not stand on the input alone
//	a key that is missing, or differs from that of m        does not have the same …
//	a staging branch that no attempt of the task makes      was not staged on a branch of the task
//	a result at another path than that of the task          its result is not where …
//	m stands on the input, and its tree differs from c's    does not hold what was staged
func checkStaged(m, c storage.Commit, k attempts.TaskKey, input string) string {
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
	if len(m.Parents) > 0 && m.Parents[0] == input && !isExpectedMerge(m, c, input, input) {
		return "it does not hold what was staged"
	}
	return ""
}

// response is what the server said to one merge request.
type response int

const (
	merged  response = iota
	unsure           // refused by the fence, conflict, no changes, busy, dirty, or no response: it may have landed
	foreign          // refused by a hook of the repository's owner
	final            // it can never succeed: no such branch, protected
)

// classifyResponse classifies the error of a merge.
//
//	error                                response
//	none                                 merged
//	a hook's, with the fence's mark      unsure: it may be our own earlier request that moved the head
//	a hook's, without                    foreign
//	no such branch or repository         final
//	the branch is protected              final
//	anything else                        unsure
func classifyResponse(err error) response {
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

// mayStillLand says whether a merge request with this error could change the
// branch later. After the errors named here the server has ended the request.
func mayStillLand(err error) bool {
	var refused *storage.RefusedError
	return err != nil && !errors.As(err, &refused) && !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrNoChanges) &&
		!errors.Is(err, storage.ErrDirty) && classifyResponse(err) == unsure
}

// action is what the publisher does next.
type action int

const (
	adopt  action = iota // it is published, by us or by another run of the task
	lost                 // it is on the branch, on top of another commit
	moved                // it is not on the branch, and the branch has moved
	repeat               // it is not on the branch, which is still where the merge expects it
	rebase               // the same as moved, where the branch may have moved
	fail                 // nothing more to try: the response is the reason
)

// decide says what to do after a merge request whose response was not "merged", once
// the branch was read again. No response is proof that nothing landed: only what is
// on the branch counts. asExpected: the head is the one that the request was to
// stand on. mayMove: the task allows a branch that moved (on_moved = "rebase").
//
//	landing          response  head       may move   tries left   action
//	landed           any       any        any        any          adopt
//	landedElsewhere  any       any        any        any          lost
//	unrelated        foreign   any        any        any          fail
//	unrelated        final     any        any        any          fail
//	unrelated        unsure    elsewhere  no         any          moved
//	unrelated        unsure    elsewhere  yes        any          rebase
//	unrelated        unsure    expected   any        yes          repeat
//	unrelated        unsure    expected   any        no           fail
func decide(seen landing, a response, asExpected, mayMove, triesLeft bool) action {
	switch {
	case seen == landed:
		return adopt
	case seen == landedElsewhere:
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

// isExpectedMerge says whether a merge commit is what the fence guarantees: its
// parents are the expected head and the staged commit. If the expected head is the
// input, its tree is that of the staged commit; else the caller has to compare the
// two changes (sameChange).
func isExpectedMerge(m, staged storage.Commit, expect, input string) bool {
	return len(m.Parents) == 2 && m.Parents[0] == expect && m.Parents[1] == staged.ID &&
		(expect != input || m.Tree == staged.Tree)
}
