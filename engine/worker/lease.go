package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"perago/engine/logs"
	"perago/engine/queue"
	"perago/panics"
)

const (
	leaseMin   = time.Second // a lease up to this is not extended: the calls would cost more than it is worth
	checkEvery = time.Minute // how often an attempt without a lease to keep is looked up at the server

	lastBeat = 10 * time.Second // that a report waits for an extension under way, at most
	staleFor = 30 * time.Second // that a server may still be busy with an extension that it never answered
)

// lease is the hold on one attempt: a goroutine that extends it every third of
// its response time-out, looks whether the server still counts on the attempt,
// and sends the lines of its log that have come in.
//
// Time is measured by the monotonic clock, so a jump of the wall clock does not
// lose a lease. A process that was stopped for longer than the lease asks the
// server before it gives up, since the attempt may not have been given to another
// worker.
//
// A server that is busy with an extension has read the task as running, and may
// write it back so after it has taken the report. So an extension is never
// cancelled to make way for the report: stop waits for it, and where that took
// too long or there was no answer, the task is looked at after the report
// (lookAfter in report.go).
type lease struct {
	leaser  queue.Leaser
	attempt queue.Attempt
	lines   *logs.ServerLog
	lose    context.CancelCauseFunc
	log     *slog.Logger
	force   <-chan struct{}
	end     context.CancelFunc
	over    chan struct{}

	mu         sync.Mutex
	kept       time.Time // when the lease last began to run, as far as we know
	isGone     bool      // the server said so
	unanswered time.Time // when the last extension ended that had no answer
}

// keepLease starts to keep the lease of a, until ctx ends or stop is called. A
// lease that is lost ends ctx through lose, with ErrLeaseLost.
func (l *loop) keepLease(ctx context.Context, a queue.Attempt, lines *logs.ServerLog, lose context.CancelCauseFunc) *lease {
	ctx, end := context.WithCancel(ctx)
	k := &lease{leaser: l.Leaser, attempt: a, lines: lines, lose: lose, end: end,
		log: l.log.With(a.LogAttrs()...), force: l.work.Done(), over: make(chan struct{}), kept: time.Now()}
	go func() {
		defer close(k.over)
		if err := panics.ToError(func() error { k.keep(ctx); return nil })(); err != nil {
			lose(err) // nobody keeps the lease any more
		}
	}()
	return k
}

// stop ends the lease and waits until nothing of it is under way: for half of
// what the lease has left and lastBeat at most, since the report has to come in
// time, and not once the worker was forced.
func (k *lease) stop() {
	k.end()
	timer := time.NewTimer(min(k.left()/2, lastBeat))
	defer timer.Stop()
	select {
	case <-k.over:
	case <-timer.C:
	case <-k.force:
	}
}

// settled waits until nothing of a stopped lease is under way. It returns until
// when a server may still be busy with one of its extensions: a time that is past
// when it answered them all.
func (k *lease) settled() time.Time {
	<-k.over
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.unanswered.Add(staleFor)
}

// doubtful says whether an extension of a stopped lease may still be at work.
func (k *lease) doubtful() bool {
	if !k.extends() {
		return false // there is no extension that could overwrite the report
	}
	select {
	case <-k.over:
		return time.Now().Before(k.settled())
	default:
		return true
	}
}

// left is what the lease has left, as far as we know.
func (k *lease) left() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.attempt.ResponseTimeout - time.Since(k.kept)
}

// gone says whether the server no longer counts on the attempt.
func (k *lease) gone() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.isGone
}

// reportFor is how long a report of the attempt may still be of use: what is
// left of its lease, and some time beyond it, since a server that was away did
// not count the time either.
func (k *lease) reportFor() time.Duration {
	if k.attempt.ResponseTimeout <= 0 {
		return reportNoLease
	}
	return max(reportAtLeast, k.left())
}

// extends says whether there is a lease to extend; else the attempt is only
// looked up now and then.
func (k *lease) extends() bool { return k.attempt.ResponseTimeout > leaseMin }

func (k *lease) keep(ctx context.Context) {
	every := k.attempt.ResponseTimeout / 3
	if !k.extends() {
		every = checkEvery
	}
	trouble := ""
	for pause := every; pauseFor(ctx, pause); {
		err := k.beat(ctx, every)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if trouble != "" {
				k.log.Info("lease extended again")
			}
			trouble, pause = "", every
			continue
		case errors.Is(err, queue.ErrGone), k.extends() && k.left() <= 0:
			k.log.Warn("lease lost", "error", err.Error())
			k.mu.Lock()
			k.isGone = errors.Is(err, queue.ErrGone)
			k.mu.Unlock()
			k.lose(fmt.Errorf("%w: %w", queue.ErrLeaseLost, err))
			return
		}
		if text := err.Error(); text != trouble {
			k.log.Warn("lease not extended", "error", text)
			trouble = text
		}
		pause = every / 4
		if k.extends() {
			pause = max(0, min(pause, k.left()))
		}
	}
}

// beat looks whether the attempt is still current, extends its lease, and sends
// the lines that came in. It takes at most as long as the lease has left, but
// always long enough for the server to answer. When ctx ends only an extension
// goes on.
func (k *lease) beat(ctx context.Context, every time.Duration) error {
	left := checkEvery
	if k.extends() {
		left = max(every, k.left())
	}
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
	defer cancel()
	short, end := context.WithTimeout(ctx, left)
	defer end()
	err := k.leaser.Current(short, k.attempt)
	if errors.Is(err, queue.ErrGone) || ctx.Err() != nil {
		return err
	}
	if k.extends() {
		err = k.extend(whole)
	}
	if err == nil && ctx.Err() == nil {
		k.send(short)
	}
	return err
}

func (k *lease) extend(ctx context.Context) error {
	start := time.Now()
	err := k.leaser.Extend(ctx, k.attempt)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.unanswered = time.Now()
		return err
	}
	k.kept = start
	return nil
}

// send brings the new lines to the log at the server; lines that could not be
// sent go with the next beat, or with the report.
func (k *lease) send(ctx context.Context) {
	lines := k.lines.Take()
	if len(lines) == 0 {
		return
	}
	if err := k.leaser.Note(ctx, k.attempt, lines); err != nil {
		k.lines.PutBack(lines)
	}
}
