// Package publish turns the files that an attempt wrote into one commit on its
// target branch. docs/publication.md has the protocol and what it rests on.
//
//	publish.go    the publisher: what it does before the body, and the order of the steps
//	stage.go      makes a branch for the attempt, with one commit on it
//	advance.go    merges that branch, and reads the answer
//	fence.go      the hook that makes the merge a compare-and-swap
//	selftest.go   finds out whether the server runs the hook
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

// Publication is all that publishing one attempt needs to know.
type Publication struct {
	Ref      workspace.Ref
	Task     attempts.TaskKey
	ReadOnly bool
	Rebase   bool // the branch may have moved, if what changed there is nothing that the attempt asked for or wrote
	Overlay  *workspace.Overlay
	Dir      *attempts.Dir   // records the staging branch before it is made
	Result   json.RawMessage // the checked result of the body; nil in Prepare
	Current  Fence           // step 4; nil: there is no queue to ask
	Record   *trace.Record   // published with the files, its Result and Trace filled in; nil: none
}

// Published says where an attempt's result is.
type Published struct {
	Commit  string          // M, or the input commit when nothing was written
	Result  json.RawMessage // not nil: the result of the adopted publication
	Adopted bool            // an earlier attempt, or a twin, had published
}

// Fence is nil while the attempt is still current.
type Fence func(context.Context) error

// FenceLevel says how the head of the target branch is guarded.
type FenceLevel string

const (
	FenceAuto   FenceLevel = "auto"   // by the server where its self-test passes, else by the client
	FenceServer FenceLevel = "server" // by the server, or nothing is published
	FenceClient FenceLevel = "client" // by a look at the head just before the merge: a lost race is seen, not prevented
)

// Publisher publishes attempts to a Store. Its fields are set before its first
// use; then it is safe for concurrent use. A Publisher must not be copied.
type Publisher struct {
	Store       storage.Store
	Level       FenceLevel  // "" is FenceAuto
	Concurrency int         // uploads at once of one publication; 0 is 16
	Events      func(Event) // told each step; nil: nobody. Called from any goroutine

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

// EventKind is a constant a log can be searched for.
type EventKind string

const (
	EventRevoked    EventKind = "revoked"      // predecessors can no longer publish
	EventBranched   EventKind = "branched"     // the staging branch is made
	EventStaged     EventKind = "staged"       // the staging branch has its commit
	EventFenced     EventKind = "fenced"       // the attempt is current; the merge comes next
	EventMerging    EventKind = "merging"      // a merge request goes out
	EventPublished  EventKind = "published"    // M is on the branch
	EventAdopted    EventKind = "adopted"      // an earlier attempt, or a twin, had published
	EventUnfenced   EventKind = "unfenced"     // a warning: the server does not run the hook
	EventRebased    EventKind = "rebased"      // the branch moved; the merge may stand on Commit, where the attempt would have been the same
	EventUnrecorded EventKind = "not recorded" // a warning: how the files were made is not published with them
	EventLost       EventKind = "race lost"    // an error: M is on the branch, on top of something else
	EventLeft       EventKind = "left"         // a warning: a branch could not be removed; the sweep will
)

// Errors of a publication that callers branch on.
var (
	// ErrNotCurrent: the attempt could not be shown to be current; nothing was published.
	ErrNotCurrent = errors.New("nothing was published, the attempt is not known to be current")
	// ErrNoFence: FenceServer, and the server does not run the hook.
	ErrNoFence = errors.New("the server does not run the fence")
)

// MovedError: the target branch is no longer at the input commit, and this
// attempt is current. Nothing was published, and a retry, which gets the same
// input commit, would not publish either: a branch does not go back.
type MovedError struct {
	Branch string
	Input  string // the input commit
	Head   string // where the branch is
	// Clashes are what the attempt asked for or wrote and what changed there; none
	// for a task that wants the branch where it was (at most five).
	Clashes []trace.Clash
	Forged  string // says which commit there has the keys of this task and was not made by it, and how that is known; "" is none
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

// DoubtError: a merge request went out, the server could not be asked what became
// of it, and it may land yet. The next attempt of the task finds out: it adopts
// what landed, and bars what did not.
type DoubtError struct {
	Branch string
	Staged string // C: the second parent of the merge, where it landed
	Look   error  // why the branch does not tell
	Err    error  // why the attempt gave up
}

func (e *DoubtError) Error() string {
	return fmt.Sprintf("it is not known whether the merge of %s into branch %s landed: %v; %v", e.Staged, e.Branch, e.Look, e.Err)
}

func (e *DoubtError) Unwrap() error { return e.Err }

// LostRaceError: without the fence, the publication landed on something else
// than its input commit. It is known and not undone.
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
	Hook   string // what the hook said
}

func (e *HookError) Error() string {
	return fmt.Sprintf("a hook of the repository refused the change to branch %s: %s", e.Branch, e.Hook)
}

// DirtyError: someone's uncommitted objects on the target branch block every merge.
type DirtyError struct {
	Branch string
	Path   string // one of them; "" when none could be named
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
// already, or nil. *MovedError when the body would run for nothing.
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
	v, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case v.seen != unrelated:
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

// Publish brings what the attempt wrote onto its branch, or says why not.
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
	verdict := p.fenceBeside(ctx, pub)
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

// session is one publication on its way.
type session struct {
	*Publisher
	Publication

	expect   string         // H: the head that the merge is to stand on; the input at first
	seen     *trace.Trace   // what the branch is held against when it moved; nil until it did
	fenced   bool           // the merge carries perago.expect
	branch   string         // S; "" until it is made
	doubtful []string       // branches that a request still on its way may make
	staged   storage.Commit // C; zero until it is made
	uploaded sync.Map       // path -> trace.Content, of what was put on S
}

func (p *Publisher) session(pub Publication) *session {
	return &session{Publisher: p, Publication: pub, expect: pub.Ref.Commit}
}

// tell reports one step.
func (s *session) tell(e Event) {
	if s.Events == nil {
		return
	}
	e.Task, e.Ref = s.Task, s.Ref
	if e.Branch == "" {
		e.Branch = s.branch
	}
	s.Events(e)
}

// movedTo is the error of a branch that is elsewhere. It ends the task for good,
// so an attempt that has been succeeded must not be the one that says it.
func (s *session) movedTo(ctx context.Context, v view) error {
	if err := s.current(ctx); err != nil {
		return err
	}
	return &MovedError{Branch: s.Ref.Branch, Input: s.Ref.Commit, Head: v.head, Forged: v.forged}
}

// current is nil while the attempt is shown to be current: step 4.
func (s *session) current(ctx context.Context) error {
	if s.Current == nil {
		return nil
	}
	if err := s.Current(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNotCurrent, err)
	}
	return nil
}

// confirm completes an attempt that has nothing to publish, while the branch is
// still at its input, or at a commit that would have given the same attempt.
func (s *session) confirm(ctx context.Context, unchanged Published) (Published, error) {
	v, err := s.look(ctx)
	switch {
	case err != nil:
		return Published{}, err
	case v.seen != unrelated:
		return s.settle(ctx, v)
	case v.head == s.Ref.Commit:
		return unchanged, nil
	case !s.mayFollow(v):
		return Published{}, s.movedTo(ctx, v)
	}
	err = s.follow(ctx, v)
	return Published{Commit: v.head}, err
}

// view is what the target branch showed at one moment.
type view struct {
	head   string
	onLine bool // the input commit is the head, or on its line of first parents
	seen   sighting
	commit storage.Commit // the one that was seen; zero when unrelated
	staged storage.Commit // what it merged; zero when unrelated
	forged string         // see MovedError
}

// historyMax bounds the walk from the head back to the input commit. An attempt
// whose branch went further than that counts as moved.
const historyMax = 10_000

// claimsMax bounds how many commits with the keys of a task are looked into. One
// task leaves one.
const claimsMax = 16

// look reads the head and, where it is not the input commit, walks along first
// parents to the input commit in search of a publication of this task.
func (s *session) look(ctx context.Context) (view, error) {
	head, err := s.Store.Head(ctx, s.Ref.Repository, s.Ref.Branch)
	if err != nil {
		return view{}, err
	}
	v := view{head: head, onLine: head == s.Ref.Commit}
	if v.onLine {
		return v, nil
	}
	var claims []storage.Commit // to be a publication of this task; newest first
	n := 0
	for c, err := range s.Store.FirstParents(ctx, s.Ref.Repository, head) {
		if err != nil {
			return view{}, err
		}
		if n++; c.ID == s.Ref.Commit || n > historyMax {
			v.onLine = c.ID == s.Ref.Commit
			break
		}
		switch seen := sight(c, s.Task.Key(), s.Ref.Commit); {
		case seen == landed:
			claims = append([]storage.Commit{c}, claims...)
		case seen == astray && len(claims) < claimsMax:
			claims = append(claims, c)
		}
	}
	for _, c := range claims {
		if err := s.examine(ctx, &v, c); err != nil || v.seen != unrelated {
			return v, err
		}
	}
	return v, nil
}

// examine notes in v what c is that claims to be a publication of this task.
func (s *session) examine(ctx context.Context, v *view, c storage.Commit) error {
	staged := s.staged
	if id := c.Metadata[keyCommit]; id != staged.ID {
		var err error
		// One that is not there is a zero Commit, which stands on nothing.
		if staged, err = s.Store.Lookup(ctx, s.Ref.Repository, id); err != nil && !errors.Is(err, storage.ErrUnknownCommit) {
			return err
		}
	}
	why := vouch(c, staged, s.Task, s.Ref.Commit)
	if seen := sight(c, s.Task.Key(), s.Ref.Commit); why == "" && seen == landed && onto(c, s.Ref.Commit) != s.Ref.Commit {
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
	v.seen, v.commit, v.staged = sight(c, s.Task.Key(), s.Ref.Commit), c, staged
	return nil
}

// settle turns a sighting into the outcome of the attempt.
func (s *session) settle(ctx context.Context, v view) (Published, error) {
	if v.seen == astray {
		return Published{}, s.raceLost(v.commit)
	}
	if s.staged.ID != "" && v.commit.Metadata[keyCommit] == s.staged.ID {
		return s.published(v.commit.ID), nil
	}
	result, err := s.recorded(ctx, v.staged)
	if err != nil {
		return Published{}, fmt.Errorf("result of the earlier publication %s: %w", v.commit.ID, err)
	}
	s.tell(Event{Kind: EventAdopted, Commit: v.commit.ID})
	return Published{Commit: v.commit.ID, Result: result, Adopted: true}, nil
}

func (s *session) published(commit string) Published {
	s.tell(Event{Kind: EventPublished, Commit: commit})
	return Published{Commit: commit}
}

// raceLost is the alarm: the fence did not run, or there is none.
func (s *session) raceLost(m storage.Commit) error {
	err := &LostRaceError{Branch: s.Ref.Branch, Commit: m.ID, Input: onto(m, s.Ref.Commit)}
	if len(m.Parents) > 0 {
		err.Onto = m.Parents[0]
	}
	s.fences.distrust(s.Ref.Repository)
	s.tell(Event{Kind: EventLost, Commit: m.ID, Err: err})
	return err
}

// Bounds of a result, in bytes.
const (
	resultMax       = 64 << 10 // of one that is kept in a commit's metadata
	resultObjectMax = 8 << 20  // of one that is read back from an object: none is published that is nearly as large
)

// recorded reads the result that was staged with c, which vouch has seen.
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

// cleanup is a context for what must be done though the attempt is cancelled.
func cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}
