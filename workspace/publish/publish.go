// Package publish turns the files that an attempt wrote into one commit on its
// target branch. docs/publication.md has the protocol and its assumptions.
//
//	publish.go    the publisher: what it does before the body, and the order of the steps
//	stage.go      makes a branch for the attempt, with one commit on it
//	advance.go    merges that branch, and finds out whether the merge landed
//	rebase.go     publishes on a branch that moved
//	selftest.go   finds out whether the server runs the hook of package fence
//	decide.go     every decision, as a function of values
package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// Publication is what is needed to publish one attempt.
type Publication struct {
	Ref      workspace.Ref
	Task     attempts.TaskKey
	ReadOnly bool
	Rebase   bool // the branch may have moved, if nothing changed there that the attempt asked for or wrote
	Overlay  *workspace.Overlay
	Dir      *attempts.Dir   // records the staging branch before it is made
	Result   json.RawMessage // the checked result of the body; nil in Prepare
	Current  Fence           // see docs/publication.md, step 4; nil: there is no queue to ask
	Record   *trace.Record   // published with the files, its Result and Trace filled in; nil: none
}

// Published says where an attempt's result is.
type Published struct {
	Commit  string          // M, or the input commit when nothing was written
	Result  json.RawMessage // not nil: the result of the adopted publication
	Adopted bool            // an earlier attempt, or another run of this one, had published
}

// Fence returns nil while the attempt is still current.
type Fence func(context.Context) error

// FenceLevel says how the head of the target branch is guarded.
type FenceLevel string

const (
	FenceAuto   FenceLevel = "auto"   // by the server where its self-test passes, else by the client
	FenceServer FenceLevel = "server" // by the server, or nothing is published
	FenceClient FenceLevel = "client" // by reading the head just before the merge: a lost race is reported, not prevented
)

// Publisher publishes attempts to a Store. Its fields are set before its first
// use; then it is safe for concurrent use. A Publisher must not be copied.
type Publisher struct {
	Store       storage.Store
	Level       FenceLevel  // "" is FenceAuto
	Concurrency int         // uploads at once of one publication; 0 is 16
	Events      func(Event) // called for each step, from any goroutine; may be nil

	fences fenceMemory
}

// Event is one step of a publication, for a log.
type Event struct {
	Kind   EventKind
	Task   attempts.TaskKey
	Ref    workspace.Ref
	Branch string // staging branch
	Commit string // Staged: C; Published, Adopted, Lost: M
	Puts   int    // Staged: objects uploaded
	Copies int    // Staged: objects copied at the server
	Drops  int    // Staged: objects deleted; Revoked: branches
	Bytes  int64  // Staged: uploaded
	Took   time.Duration
	Err    error // Unfenced, Lost, Left: why
}

// EventKind says which step an Event is.
type EventKind string

const (
	EventRevoked    EventKind = "revoked"      // predecessors can no longer publish
	EventBranched   EventKind = "branched"     // the staging branch is made
	EventStaged     EventKind = "staged"       // the staging branch has its commit
	EventFenced     EventKind = "fenced"       // the attempt is current; the merge comes next
	EventMerging    EventKind = "merging"      // a merge request goes out
	EventPublished  EventKind = "published"    // M is on the branch
	EventAdopted    EventKind = "adopted"      // an earlier attempt, or another run of this one, had published
	EventUnfenced   EventKind = "unfenced"     // a warning: the server does not run the hook
	EventRebased    EventKind = "rebased"      // the branch moved to Commit, where the attempt would have done the same; the merge will stand on that
	EventUnrecorded EventKind = "not recorded" // a warning: how the files were made is not published with them
	EventLost       EventKind = "race lost"    // an error: M is on the branch, on top of another commit
	EventLeft       EventKind = "left"         // a warning: a branch could not be removed; the sweep will
)

// Errors of a publication that callers branch on.
var (
	// ErrNotCurrent: it is not known that the attempt is current; nothing was published.
	ErrNotCurrent = errors.New("nothing was published, the attempt is not known to be current")
	// ErrNoFence: the server does not run the hook. Publish returns it at FenceServer only.
	ErrNoFence = errors.New("the server does not run the fence")
)

// MovedError: the target branch is no longer at the input commit, and this
// attempt is current. Nothing was published. A retry gets the same input commit, so
// it would not publish either.
type MovedError struct {
	Branch string
	Input  string // the input commit
	Head   string // where the branch is
	// Clashes are at most five of the changes there that concern what the attempt
	// asked for or wrote; none for a task that requires the branch not to move.
	Clashes []trace.Clash
	Forged  string // names a commit there that has the keys of this task and was not made by it, and says why; "" when there is none
}

func (e *MovedError) Error() string {
	text := fmt.Sprintf("branch %s moved: it is at %s, the input is %s; ", e.Branch, e.Head, e.Input)
	if len(e.Clashes) > 0 {
		var clashes []string
		for _, c := range e.Clashes {
			clashes = append(clashes, c.String())
		}
		text += "what changed there touches this attempt: " + strings.Join(clashes, "; ") + "; "
	}
	text += "nothing was published; the workflow has to pass a newer ref, a retry gets the same"
	if e.Forged != "" {
		text += "; " + e.Forged
	}
	return text
}

// DoubtError: a merge request was sent, it is not known whether it landed, and it may
// still land. The next attempt of the task finds out: it adopts a merge that landed,
// and makes one that did not impossible.
type DoubtError struct {
	Branch  string
	Staged  string // C: the second parent of the merge, where it landed
	ReadErr error  // why the branch could not be read
	Err     error  // why the publication ended
}

func (e *DoubtError) Error() string {
	return fmt.Sprintf("it is not known whether the merge of %s into branch %s landed: %v; %v", e.Staged, e.Branch, e.ReadErr, e.Err)
}

func (e *DoubtError) Unwrap() error { return e.Err }

// LostRaceError: without the fence, the publication landed on another commit than
// its input. It is reported and not undone.
type LostRaceError struct {
	Branch string
	Commit string // M: the publication
	Onto   string // the commit it landed on
	Input  string // the input commit
}

func (e *LostRaceError) Error() string {
	if e.Onto == e.Input {
		return fmt.Sprintf("branch %s: %s stands on the input %s, but does not hold what was staged: look at it", e.Branch, e.Commit, e.Input)
	}
	return fmt.Sprintf("branch %s: the result was merged as %s, but onto %s instead of the input %s: "+
		"someone published in between; look at both commits", e.Branch, e.Commit, e.Onto, e.Input)
}

// HookError: a hook of the repository's owner refused.
type HookError struct {
	Branch string
	Hook   string // the message of the hook
}

func (e *HookError) Error() string {
	return fmt.Sprintf("a hook of the repository refused the change to branch %s: %s", e.Branch, e.Hook)
}

// DirtyError: uncommitted objects on the target branch block every merge.
type DirtyError struct {
	Branch string
	Path   string // one of them; "" when the server did not name any
}

func (e *DirtyError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("branch %s has uncommitted objects, which block every merge: commit or reset them", e.Branch)
	}
	return fmt.Sprintf("branch %s has uncommitted objects, %q for one, which block every merge: commit or reset them", e.Branch, e.Path)
}

func (e *DirtyError) Is(target error) bool { return target == storage.ErrDirty }

// Prepare is the part before the body. It makes sure that no earlier attempt of
// this task can publish any more, and returns what one of them has published
// already, or nil. It returns a *MovedError when what the body writes could not be
// published.
func (p *Publisher) Prepare(ctx context.Context, pub Publication) (*Published, error) {
	if pub.ReadOnly {
		return nil, nil
	}
	s := p.session(pub)
	if pub.Task.Retry > 0 {
		if err := s.revoke(ctx); err != nil {
			return nil, fmt.Errorf("revoke earlier attempts: %w", err)
		}
	}
	v, err := s.readBranch(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case v.found != unrelated:
		done, err := s.settle(ctx, v)
		if err != nil {
			return nil, err
		}
		return &done, nil
	case v.head != pub.Ref.Commit && !s.mayFollow(v):
		return nil, s.movedTo(ctx, v)
	}
	return nil, nil
}

// Publish publishes what the attempt wrote, in one commit on its branch.
func (p *Publisher) Publish(ctx context.Context, pub Publication) (Published, error) {
	unchanged := Published{Commit: pub.Ref.Commit}
	if pub.ReadOnly {
		return unchanged, nil
	}
	s := p.session(pub)
	changes, err := pub.Overlay.Staged(ctx)
	if err != nil {
		return Published{}, err
	}
	if len(changes) == 0 {
		return s.confirm(ctx, unchanged)
	}
	defer s.drop(ctx)
	s.fenced = p.expectFence(pub.Ref.Repository)
	verdict := p.startFenceTest(ctx, pub)
	err = s.stage(ctx, changes)
	fenced, fenceErr := verdict()
	switch {
	case errors.Is(err, storage.ErrNoChanges):
		return s.confirm(ctx, unchanged)
	case err != nil:
		return Published{}, err
	case fenceErr != nil:
		return Published{}, fenceErr
	}
	s.fenced = fenced
	return s.advance(ctx)
}

// session is one publication in progress.
type session struct {
	*Publisher
	Publication

	expect   string         // H: the head that the merge has to stand on; the input at first
	seen     *trace.Trace   // what the attempt asked for and wrote; nil until the branch moved
	fenced   bool           // the merge carries perago.expect
	branch   string         // S; "" until it is made
	doubtful []string       // branches that a request without a response may still make
	staged   storage.Commit // C; zero until it is made
	uploaded sync.Map       // path -> trace.Content, of what was put on S
}

func (p *Publisher) session(pub Publication) *session {
	return &session{Publisher: p, Publication: pub, expect: pub.Ref.Commit}
}

// report calls Events for one step.
func (s *session) report(e Event) {
	if s.Events == nil {
		return
	}
	e.Task, e.Ref = s.Task, s.Ref
	if e.Branch == "" {
		e.Branch = s.branch
	}
	s.Events(e)
}

// movedTo is the error of a branch that moved. It ends the task for good, so it is
// returned only while the attempt is current.
func (s *session) movedTo(ctx context.Context, v view) error {
	if err := s.current(ctx); err != nil {
		return err
	}
	return &MovedError{Branch: s.Ref.Branch, Input: s.Ref.Commit, Head: v.head, Forged: v.forged}
}

// current returns nil while the queue says that the attempt is current.
func (s *session) current(ctx context.Context) error {
	if s.Current == nil {
		return nil
	}
	if err := s.Current(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNotCurrent, err)
	}
	return nil
}

// confirm ends an attempt that has nothing to publish. It succeeds if the branch is
// still at the input, or at a commit on which the attempt would have done the same.
func (s *session) confirm(ctx context.Context, unchanged Published) (Published, error) {
	v, err := s.readBranch(ctx)
	switch {
	case err != nil:
		return Published{}, err
	case v.found != unrelated:
		return s.settle(ctx, v)
	case v.head == s.Ref.Commit:
		return unchanged, nil
	case !s.mayFollow(v):
		return Published{}, s.movedTo(ctx, v)
	}
	err = s.follow(ctx, v)
	return Published{Commit: v.head}, err
}

// view is what was read of the target branch at one moment.
type view struct {
	head   string
	onLine bool // the input commit is the head, or on its line of first parents
	found  landing
	commit storage.Commit // the publication; zero when unrelated
	staged storage.Commit // the commit that it merged; zero when unrelated
	forged string         // see MovedError
}

// historyMax bounds the walk from the head back to the input commit, in commits. A
// branch that moved further counts as one that does not contain the input.
const historyMax = 10_000

// claimsMax bounds how many commits with the keys of a task are examined. A task
// leaves one.
const claimsMax = 16

// readBranch reads the head and, if it is not the input commit, walks along first
// parents to the input commit to find a publication of this task.
func (s *session) readBranch(ctx context.Context) (view, error) {
	head, err := s.Store.Head(ctx, s.Ref.Repository, s.Ref.Branch)
	if err != nil {
		return view{}, err
	}
	v := view{head: head, onLine: head == s.Ref.Commit}
	if v.onLine {
		return v, nil
	}
	var claims []storage.Commit // commits with the keys of this task; landed ones first
	n := 0
	for c, err := range s.Store.FirstParents(ctx, s.Ref.Repository, head) {
		if err != nil {
			return view{}, err
		}
		if n++; c.ID == s.Ref.Commit || n > historyMax {
			v.onLine = c.ID == s.Ref.Commit
			break
		}
		switch seen := classifyCommit(c, s.Task.Key(), s.Ref.Commit); {
		case seen == landed && len(claims) >= claimsMax:
			return view{}, fmt.Errorf("branch %s has more than %d commits with the keys of this task: look who made them", s.Ref.Branch, claimsMax)
		case seen == landed:
			claims = append([]storage.Commit{c}, claims...)
		case seen == landedElsewhere && len(claims) < claimsMax:
			claims = append(claims, c)
		}
	}
	for _, c := range claims {
		if err := s.examine(ctx, &v, c); err != nil || v.found != unrelated {
			return v, err
		}
	}
	return v, nil
}

// examine checks whether c, which has the keys of this task, is a publication of it, and sets that in v.
func (s *session) examine(ctx context.Context, v *view, c storage.Commit) error {
	staged := s.staged
	if id := c.Metadata[keyCommit]; id != staged.ID {
		var err error
		// A commit that does not exist is a zero Commit, which has no parents.
		if staged, err = s.Store.Lookup(ctx, s.Ref.Repository, id); err != nil && !errors.Is(err, storage.ErrUnknownCommit) {
			return err
		}
	}
	why := checkStaged(c, staged, s.Task, s.Ref.Commit)
	if seen := classifyCommit(c, s.Task.Key(), s.Ref.Commit); why == "" && seen == landed && expectedParent(c, s.Ref.Commit) != s.Ref.Commit {
		same, err := s.sameChange(ctx, c, staged)
		if err != nil {
			return err
		}
		if !same {
			why = "it does not hold what was staged"
		}
	}
	if why != "" {
		v.forged = fmt.Sprintf("commit %s there has the keys of this task and was not made by it: %s", c.ID, why)
		return nil
	}
	v.found, v.commit, v.staged = classifyCommit(c, s.Task.Key(), s.Ref.Commit), c, staged
	return nil
}

// settle is the outcome of an attempt whose publication was found.
func (s *session) settle(ctx context.Context, v view) (Published, error) {
	if v.found == landedElsewhere {
		return Published{}, s.raceLost(v.commit)
	}
	if s.staged.ID != "" && v.commit.Metadata[keyCommit] == s.staged.ID {
		return s.published(v.commit.ID), nil
	}
	result, err := s.recorded(ctx, v.staged)
	if err != nil {
		return Published{}, fmt.Errorf("result of the earlier publication %s: %w", v.commit.ID, err)
	}
	s.report(Event{Kind: EventAdopted, Commit: v.commit.ID})
	return Published{Commit: v.commit.ID, Result: result, Adopted: true}, nil
}

func (s *session) published(commit string) Published {
	s.report(Event{Kind: EventPublished, Commit: commit})
	return Published{Commit: commit}
}

// raceLost reports a publication on another commit: the fence did not run, or there is none.
func (s *session) raceLost(m storage.Commit) error {
	err := &LostRaceError{Branch: s.Ref.Branch, Commit: m.ID, Input: expectedParent(m, s.Ref.Commit)}
	if len(m.Parents) > 0 {
		err.Onto = m.Parents[0]
	}
	s.fences.distrust(s.Ref.Repository)
	s.report(Event{Kind: EventLost, Commit: m.ID, Err: err})
	return err
}

// Bounds of a result, in bytes.
const (
	resultMax       = 64 << 10 // of one that is kept in a commit's metadata
	resultObjectMax = 8 << 20  // of one that is read from an object; much larger than any that is published
)

// recorded reads the result that was staged with c, which passed checkStaged.
func (s *session) recorded(ctx context.Context, c storage.Commit) (json.RawMessage, error) {
	data, where := []byte(c.Metadata[keyResult]), "metadata "+keyResult
	if path := c.Metadata[keyObject]; path != "" {
		r, err := s.Store.Open(ctx, s.Ref.Repository, c.ID, path)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		if data, err = io.ReadAll(io.LimitReader(r, resultObjectMax+1)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		where = path
	}
	switch {
	case len(data) > resultObjectMax:
		return nil, fmt.Errorf("%s of commit %s has more than %d bytes", where, c.ID, resultObjectMax)
	case !json.Valid(data):
		return nil, fmt.Errorf("%s of commit %s is not JSON", where, c.ID)
	}
	return data, nil
}

// cleanup is a context for work that must be done even if the attempt is cancelled.
func cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}
