package publish

// A model of the publication protocol, explored whole: every order in which the
// steps of three attempts, the server, a foreign writer and the queue can happen,
// with a crash, a lost answer and a doubled request at every place. What an
// attempt concludes from what it sees is the code itself: classifyCommit,
// decide, isExpectedMerge.
//
// PERAGO_MODEL=large explores more of each (about a minute).

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"perago/workspace/storage"
)

// Attempts of the model: first and second are two attempts of one task, other is
// the only one of another task. All have the input commit A.
const (
	first = iota
	second
	other
	attemptCount
)

var attemptNames = [...]string{"first", "second", "other"}

// modelTask is the task of an attempt.
func modelTask(i int8) string {
	if i == other {
		return "two"
	}
	return "one"
}

// Steps of an attempt. Each is one request, or one decision.
type modelStep int8

const (
	idle     modelStep = iota // not started: the queue counts on its predecessor
	revoking                  // delete the staging branches of predecessors
	renewing                  // give the target a new token
	looking                   // the look before the body
	running                   // the body
	staging                   // S and C
	checking                  // does the queue count on this attempt?
	sending                   // the merge request goes out
	waiting                   // for its answer
	settling                  // the look after an answer
	barring                   // failed, and a request may land yet: delete S
	closing                   // the same: give the target a new token
	finding                   // the same: look what became of it
	over
	dead
)

// Outcomes of an attempt that is over.
type modelOutcome int8

const (
	none modelOutcome = iota
	completed
	failed
	lostRace
)

// entry is one commit on the branch, above A. Its predecessor is the entry before it.
type entry struct {
	kind   int8 // of entryKinds
	by     int8 // attempt
	expect int8 // what the merge was to stand on: an index of the branch, 0 is A
}

const (
	mergeEntry   int8 = iota // a publication
	apartEntry               // a foreign commit of something that no attempt asks for
	touchesEntry             // a foreign commit of something that all attempts read
)

const (
	branchMax  = 7
	requestMax = 6
)

type modelAttempt struct {
	step    modelStep
	outcome modelOutcome
	counted bool // over: the queue counted on the attempt when it ended, so it takes the outcome
	at      int8 // completed: the index on the branch
	expect  int8
	tries   int8
	sent    bool     // a merge request may land yet
	answer  response // that is being settled
	gone    bool     // the answer was that the source is not there
	branch  bool     // S is there
	request int8     // that is waited for
}

type modelRequest struct {
	used     bool
	by       int8
	expect   int8
	prepared bool
	token    int8 // when prepared
	replied  bool
	reply    int8 // of replies
}

const (
	replyMerged int8 = iota
	replyFence
	replyNoChanges
	replyNoSource
)

// world is one state. It is comparable, so that each is visited once.
type modelState struct {
	branch   [branchMax]entry
	length   int8
	token    int8
	attempts [attemptCount]modelAttempt
	requests [requestMax]modelRequest
	current  int8 // which attempt of the first task the queue counts on
	left     modelBudget
}

// modelBudget is what may still go wrong.
type modelBudget struct {
	foreign, crashes, lost, doubled, failures int8

	repeats int8 // of one merge request; it is not used up
	alone   bool // there is no attempt of another task
}

// modelGuards are the parts of the protocol that can be taken out.
type modelGuards struct {
	rebase bool // on_moved = "rebase"

	noFence    bool // the server's comparison
	noCurrent  bool // step 4: the queue is asked before the merge
	noRevoke   bool // a retry deletes its predecessors' branches
	noToken    bool // and makes a merge that is on its way start anew
	noLook     bool // before the body
	noBar      bool // a failed attempt makes sure that its merge cannot land
	noTrace    bool // rebase: what changed is held against what was asked
	trustReply bool // an answer other than success counts as "not published", whatever the branch shows
}

func (s *modelState) head() int8 { return s.length }

func (s *modelState) push(e entry) {
	s.branch[s.length] = e
	s.length++
	s.token++
}

// commit is an entry of the branch as the protocol's code sees it.
func (s *modelState) commit(at int8) storage.Commit {
	c := storage.Commit{ID: commitName(at), Parents: []string{commitName(at - 1)}}
	if e := s.branch[at-1]; e.kind == mergeEntry {
		c.Parents = append(c.Parents, stagedName(e.by))
		c.Tree = "with " + stagedName(e.by)
		c.Metadata = map[string]string{keyTask: modelTask(e.by), keyInput: "A", keyExpect: commitName(e.expect), keyCommit: stagedName(e.by)}
	}
	return c
}

func commitName(at int8) string {
	if at == 0 {
		return "A"
	}
	return fmt.Sprintf("B%d", at)
}

func stagedName(by int8) string { return "C-" + attemptNames[by] }

// look is what an attempt sees of the branch.
func (s *modelState) look(by int8) (seen landing, at int8) {
	for i := s.length; i > 0; i-- {
		if k := classifyCommit(s.commit(i), modelTask(by), "A"); k != unrelated && seen != landed {
			seen, at = k, i
		}
	}
	return seen, at
}

// clashes says whether something on the branch above from touches what an attempt asked for.
func (s *modelState) clashes(from int8) bool {
	for i := from; i < s.length; i++ {
		if s.branch[i].kind == touchesEntry {
			return true
		}
	}
	return false
}

func (s *modelState) counted(i int8) bool { return i == other || i == s.current }

// change is one thing that can happen next.
type change struct {
	what string
	to   modelState
}

// next lists all of them.
func (s modelState) next(g modelGuards) (out []change) {
	add := func(what string, to modelState) { out = append(out, change{what, to}) }
	for i := range int8(attemptCount) {
		s.attemptSteps(g, i, add)
	}
	for r := range s.requests {
		s.serverSteps(g, r, add)
	}
	if s.left.foreign > 0 && s.length < branchMax {
		for _, kind := range []int8{apartEntry, touchesEntry} {
			to := s
			to.left.foreign--
			to.push(entry{kind: kind})
			add([]string{apartEntry: "someone commits something else", touchesEntry: "someone commits what the attempts read"}[kind], to)
		}
	}
	a := s.attempts[first]
	if s.current == first && !(a.step == over && a.outcome == completed) && a.outcome != lostRace {
		to := s
		to.current = second
		to.attempts[second].step = revoking
		if g.noRevoke {
			to.attempts[second].step = looking
		}
		add("the queue gives up the first attempt and starts the second", to)
	}
	return out
}

// attemptSteps are what attempt i may do next.
func (s modelState) attemptSteps(g modelGuards, i int8, add func(string, modelState)) {
	a := s.attempts[i]
	if a.step == idle || a.step == dead {
		return
	}
	do := func(what string, change func(*modelState, *modelAttempt)) {
		to := s
		change(&to, &to.attempts[i])
		if now := &to.attempts[i]; now.step == over && a.step != over {
			now.counted = s.counted(i)
		}
		add(attemptNames[i]+" "+what, to)
	}
	if a.step == over {
		if a.branch {
			do("drops its branch", func(_ *modelState, a *modelAttempt) { a.branch = false })
		}
		return
	}
	if s.left.crashes > 0 {
		do("crashes", func(s *modelState, a *modelAttempt) { s.left.crashes--; a.step = dead })
	}
	switch a.step {
	case revoking:
		do("revokes its predecessor", func(s *modelState, a *modelAttempt) {
			s.attempts[first].branch = false
			if a.step = renewing; g.noToken {
				a.step = looking
			}
		})
	case renewing:
		do("renews the token", func(s *modelState, a *modelAttempt) { s.token++; a.step = looking })
	case looking:
		do("looks before its body", func(s *modelState, a *modelAttempt) {
			seen, at := s.look(i)
			switch {
			case seen != unrelated && !g.noLook:
				a.settle(seen, at)
			case s.head() != 0 && !g.rebase:
				a.end(failed)
			default:
				a.step = running
			}
		})
	case running:
		do("runs its body", func(_ *modelState, a *modelAttempt) { a.step = staging })
		if s.left.failures > 0 {
			do("fails in its body", func(s *modelState, a *modelAttempt) { s.left.failures--; a.end(failed) })
		}
	case staging:
		do("stages", func(_ *modelState, a *modelAttempt) { a.branch, a.step = true, checking })
	case checking:
		do("asks whether it is current", func(s *modelState, a *modelAttempt) {
			if a.step = sending; !s.counted(i) && !g.noCurrent {
				a.conclude(g)
			}
		})
	case sending:
		for copies := range min(1+s.left.doubled, 2) {
			do([]string{"sends its merge", "sends its merge, which arrives twice"}[copies], func(s *modelState, a *modelAttempt) {
				s.left.doubled -= copies
				a.request = s.send(i, a.expect)
				if copies > 0 {
					s.send(i, a.expect)
				}
				a.step = waiting
			})
		}
	case waiting:
		s.answerSteps(g, i, do)
	case settling:
		do("looks at the branch", func(s *modelState, a *modelAttempt) { s.settle(g, i, a) })
	case barring:
		do("deletes its branch", func(_ *modelState, a *modelAttempt) { a.branch, a.step = false, closing })
	case closing:
		do("renews the token", func(s *modelState, a *modelAttempt) { s.token++; a.step = finding })
	case finding:
		do("looks what became of its merge", func(s *modelState, a *modelAttempt) {
			if seen, at := s.look(i); seen != unrelated && !g.trustReply {
				a.settle(seen, at)
			} else {
				a.end(failed)
			}
		})
	}
}

// answerSteps are what an attempt may hear of its merge.
func (s modelState) answerSteps(g modelGuards, i int8, do func(string, func(*modelState, *modelAttempt))) {
	r := s.requests[s.attempts[i].request]
	if r.replied {
		do("hears its answer", func(s *modelState, a *modelAttempt) {
			s.requests[a.request] = modelRequest{}
			a.request = 0
			a.answer, a.gone = unsure, false
			switch r.reply {
			case replyMerged:
				a.sent = false
				m := s.commit(s.mergedBy(i))
				staged := storage.Commit{ID: stagedName(i), Tree: m.Tree}
				if isExpectedMerge(m, staged, commitName(a.expect), "A") {
					a.settle(landed, s.mergedBy(i))
				} else {
					a.end(lostRace)
				}
				return
			case replyNoSource:
				a.answer, a.gone = final, true
			}
			a.step = settling
		})
	}
	if s.left.lost > 0 {
		do("hears no answer", func(s *modelState, a *modelAttempt) {
			s.left.lost--
			if r.replied {
				s.requests[a.request] = modelRequest{}
			}
			a.request = 0
			a.answer, a.gone, a.sent = unsure, false, true
			a.step = settling
		})
	}
}

// settle is the look after an answer other than success.
func (s *modelState) settle(g modelGuards, i int8, a *modelAttempt) {
	seen, at := s.look(i)
	if g.trustReply {
		seen = unrelated
	}
	if a.gone && seen == unrelated {
		a.conclude(g)
		return
	}
	switch decide(seen, a.answer, s.head() == a.expect, g.rebase, a.tries < s.left.repeats) {
	case adopt, lost:
		a.sent = false
		a.settle(seen, at)
	case rebase:
		if s.clashes(a.expect) && !g.noTrace {
			a.conclude(g)
			return
		}
		a.expect, a.tries, a.step = s.head(), 0, checking
	case repeat:
		a.tries++
		a.step = checking
	default:
		a.conclude(g)
	}
}

func (a *modelAttempt) settle(seen landing, at int8) {
	if seen == landedElsewhere {
		a.end(lostRace)
		return
	}
	a.end(completed)
	a.at = at
}

func (a *modelAttempt) end(o modelOutcome) {
	*a = modelAttempt{step: over, outcome: o, branch: a.branch}
}

func (a *modelAttempt) conclude(g modelGuards) {
	if a.step = barring; !a.sent || g.noBar {
		a.end(failed)
	}
}

// mergedBy is where the publication of an attempt is on the branch.
func (s *modelState) mergedBy(i int8) int8 {
	for at := s.length; at > 0; at-- {
		if e := s.branch[at-1]; e.kind == mergeEntry && e.by == i {
			return at
		}
	}
	return 0
}

func (s *modelState) send(by, expect int8) int8 {
	for i := range s.requests {
		if !s.requests[i].used {
			s.requests[i] = modelRequest{used: true, by: by, expect: expect}
			return int8(i)
		}
	}
	panic("the model has too little room for requests")
}

// serverSteps are what the server may do with a request: prepare the merge, as of
// one moment, and update the branch if nobody did since.
func (s modelState) serverSteps(g modelGuards, n int, add func(string, modelState)) {
	r := s.requests[n]
	if !r.used || r.replied {
		return
	}
	who := attemptNames[r.by]
	to := s
	q := &to.requests[n]
	reply := func(what string, code int8) {
		*q = modelRequest{used: true, by: r.by, expect: r.expect, replied: true, reply: code}
		if a := to.attempts[r.by]; a.step != waiting || int(a.request) != n {
			*q = modelRequest{} // nobody listens
		}
		add("the server "+what+" the merge of "+who, to)
	}
	switch {
	case r.prepared && r.token != s.token:
		q.prepared, q.token = false, 0
		add("the server begins the merge of "+who+" anew", to)
	case r.prepared && s.length == branchMax:
	case r.prepared:
		to.push(entry{kind: mergeEntry, by: r.by, expect: r.expect})
		reply("lands", replyMerged)
	case !s.attempts[r.by].branch:
		reply("finds no source for", replyNoSource)
	case s.head() != r.expect && !g.noFence:
		reply("refuses, by the fence,", replyFence)
	case s.mergedBy(r.by) > 0:
		reply("finds nothing to do for", replyNoChanges)
	default:
		q.prepared, q.token = true, s.token
		add("the server prepares the merge of "+who, to)
	}
}

// wrong says which invariant a state breaks; "" is none.
func (s *modelState) wrong(g modelGuards) string {
	published := map[string]int8{} // by task: where
	for at := int8(1); at <= s.length; at++ {
		e := s.branch[at-1]
		if e.kind != mergeEntry {
			continue
		}
		task := modelTask(e.by)
		if published[task] != 0 {
			return "one task has two publications on the branch"
		}
		published[task] = at
		if on := at - 1; on != 0 && !g.rebase {
			return "a publication stands on something else than its input"
		}
		for below := range at - 1 {
			if s.branch[below].kind == touchesEntry {
				return "a publication stands on a commit that changed what the attempt had read"
			}
		}
	}
	for i, a := range s.attempts {
		task := modelTask(int8(i))
		switch {
		case a.outcome == completed && a.at != published[task]:
			return attemptNames[i] + " reports COMPLETED with a commit that is not the publication of its task"
		case a.outcome == failed && a.counted && s.mergedBy(int8(i)) > 0:
			return attemptNames[i] + " reports FAILED, and its result is on the branch"
		case a.outcome == failed && i == second && published[task] > 0:
			return "the last attempt of a task reports FAILED, and a result of the task is on the branch"
		case a.outcome == lostRace:
			return attemptNames[i] + " lost a race"
		}
	}
	return ""
}

// explore visits every state that can be reached. story is the way to the first
// one that breaks an invariant.
func explore(g modelGuards, b modelBudget, most int) (states int, broken string, story []string) {
	type origin struct {
		from int32
		what string
	}
	start := modelState{left: b}
	start.attempts[first].step = looking
	if !b.alone {
		start.attempts[other].step = looking
	}
	index := map[modelState]int32{start: 0}
	queue := []modelState{start}
	origins := []origin{{-1, ""}}
	for n := 0; n < len(queue); n++ {
		s := queue[n]
		if broken = s.wrong(g); broken != "" {
			for at := int32(n); at > 0; at = origins[at].from {
				story = append(story, origins[at].what)
			}
			slices.Reverse(story)
			return len(queue), broken, story
		}
		for _, c := range s.next(g) {
			if _, known := index[c.to]; known {
				continue
			}
			if len(queue) == most {
				return len(queue), "more states than the model may have", nil
			}
			index[c.to] = int32(len(queue))
			queue = append(queue, c.to)
			origins = append(origins, origin{int32(n), c.what})
		}
	}
	return len(queue), "", nil
}

func modelSize() (budgets []modelBudget, most int) {
	if os.Getenv("PERAGO_MODEL") != "large" {
		return []modelBudget{
			{foreign: 1, crashes: 1, failures: 1},
			{foreign: 1, lost: 1, failures: 1, repeats: 1, alone: true},
			{foreign: 1, doubled: 1, failures: 1, repeats: 1, alone: true},
		}, 1_000_000
	}
	return []modelBudget{
		{foreign: 2, crashes: 1, failures: 1, repeats: 1},
		{foreign: 1, lost: 1, failures: 1, repeats: 1},
		{foreign: 1, doubled: 1, failures: 1, repeats: 1},
		{foreign: 2, crashes: 1, lost: 1, doubled: 1, failures: 1, repeats: 1, alone: true},
	}, 20_000_000
}

func TestModelHolds(t *testing.T) {
	budgets, most := modelSize()
	for _, rebase := range []bool{false, true} {
		for _, b := range budgets {
			start := time.Now()
			states, broken, story := explore(modelGuards{rebase: rebase}, b, most)
			if broken != "" {
				t.Errorf("rebase %t, %+v: %s\n%s", rebase, b, broken, strings.Join(story, "\n"))
			}
			t.Logf("rebase %t, %+v: %d states in %.1f s", rebase, b, states, time.Since(start).Seconds())
		}
	}
}

// Each part of the protocol is there for something: without it, the model finds
// a story that breaks an invariant.
func TestModelNeedsEachGuard(t *testing.T) {
	for _, c := range []struct {
		name  string
		guard modelGuards
	}{
		{"the fence, fail", modelGuards{noFence: true}},
		{"the fence, rebase", modelGuards{noFence: true, rebase: true}},
		{"the question whether the attempt is current", modelGuards{noCurrent: true}},
		{"deleting the predecessors' branches", modelGuards{noRevoke: true}},
		{"the new token of the target", modelGuards{noToken: true}},
		{"the look before the body, rebase", modelGuards{noLook: true, rebase: true}},
		{"the look after an answer", modelGuards{trustReply: true}},
		{"making sure that a failed merge cannot land", modelGuards{noBar: true}},
		{"the trace, rebase", modelGuards{noTrace: true, rebase: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			states, broken, story := explore(c.guard, modelBudget{foreign: 1, lost: 1, failures: 1, alone: true}, 1_000_000)
			if broken == "" || story == nil {
				t.Fatalf("%d states, and nothing is broken without it (%s)", states, broken)
			}
			t.Logf("%s, after %d states:\n\t%s", broken, states, strings.Join(story, "\n\t"))
		})
	}
}
