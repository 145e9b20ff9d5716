package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	leaseMin   = time.Second // a lease up to this is not extended: the calls would cost more than it is worth
	checkEvery = time.Minute // how often an attempt without a lease to keep is looked up at the server
)

// lease is the hold on one attempt: a goroutine that extends it every third of
// its response time-out, looks whether the server still counts on the attempt,
// and sends the lines of its log that have come in.
//
// Time is measured by the monotonic clock, so a jump of the wall clock does not
// lose a lease. A process that was stopped for longer than the lease asks the
// server before it gives up: nobody may have taken the attempt.
type lease struct {
	leaser  Leaser
	attempt Attempt
	lines   *taskLog
	lose    context.CancelCauseFunc
	log     *slog.Logger
	end     context.CancelFunc
	over    chan struct{}

	mu     sync.Mutex
	kept   time.Time // when the lease last began to run, as far as we know
	isGone bool      // the server said so
}

// keepLease starts to keep the lease of a, until ctx ends or stop is called. A
// lease that is lost ends ctx through lose, with ErrLeaseLost.
func (l *life) keepLease(ctx context.Context, a Attempt, lines *taskLog, lose context.CancelCauseFunc) *lease {
	ctx, end := context.WithCancel(ctx)
	k := &lease{leaser: l.Leaser, attempt: a, lines: lines, lose: lose, end: end,
		log: l.log.With(a.LogAttrs()...), over: make(chan struct{}), kept: time.Now()}
	go func() {
		defer close(k.over)
		k.keep(ctx)
	}()
	return k
}

// stop ends the lease and waits until nothing of it is under way.
func (k *lease) stop() {
	k.end()
	<-k.over
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
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(reportAtLeast, k.attempt.ResponseTimeout-time.Since(k.kept))
}

// extends says whether there is a lease to extend; else the attempt is only
// looked up now and then.
func (k *lease) extends() bool { return k.attempt.ResponseTimeout > leaseMin }

func (k *lease) keep(ctx context.Context) {
	timeout, every := k.attempt.ResponseTimeout, k.attempt.ResponseTimeout/3
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
		case errors.Is(err, ErrGone), k.extends() && time.Since(k.kept) >= timeout:
			k.log.Warn("lease lost", "error", err.Error())
			k.mu.Lock()
			k.isGone = errors.Is(err, ErrGone)
			k.mu.Unlock()
			k.lose(fmt.Errorf("%w: %w", ErrLeaseLost, err))
			return
		}
		if text := err.Error(); text != trouble {
			k.log.Warn("lease not extended", "error", text)
			trouble = text
		}
		pause = every / 4
		if k.extends() {
			pause = max(0, min(pause, timeout-time.Since(k.kept)))
		}
	}
}

// beat looks whether the attempt is still current, extends its lease, and sends
// the lines that came in. It takes at most as long as the lease has left, but
// always long enough for the server to answer.
func (k *lease) beat(ctx context.Context, every time.Duration) error {
	left := checkEvery
	if k.extends() {
		left = max(every, k.attempt.ResponseTimeout-time.Since(k.kept))
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	err := k.leaser.Current(ctx, k.attempt)
	if errors.Is(err, ErrGone) {
		return err
	}
	if k.extends() {
		err = k.extend(ctx)
	}
	if err == nil {
		k.send(ctx)
	}
	return err
}

func (k *lease) extend(ctx context.Context) error {
	start := time.Now()
	if err := k.leaser.Extend(ctx, k.attempt); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = start
	return nil
}

// send brings the new lines to the log at the server; lines that could not be
// sent go with the next beat, or with the report.
func (k *lease) send(ctx context.Context) {
	lines := k.lines.take()
	if len(lines) == 0 {
		return
	}
	if err := k.leaser.Note(ctx, k.attempt, lines); err != nil {
		k.lines.putBack(lines)
	}
}
