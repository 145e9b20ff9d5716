package engine

import (
	"context"
	"errors"
	"time"
)

const (
	reportAtLeast = time.Minute            // that a result is offered, whatever is left of the lease
	reportNoLease = 10 * time.Minute       // the same, for an attempt without a lease
	reportPause   = 100 * time.Millisecond // after the first report that failed
	reportPauses  = 10 * time.Second       // the longest pause between two reports
	fairShare     = time.Second            // after which a slot no longer takes the next attempt of the same task
)

// deliver reports a result until the server has it, does not want it, or can no
// longer count on the attempt. It returns the attempt that the answer carried.
// A report can be repeated safely: the server ignores one of a task that is over.
func (l *life) deliver(res Result, lease *lease, lines *taskLog, since time.Time) (next *Attempt) {
	log := l.log.With(res.Attempt.LogAttrs()...)
	if lease.gone() {
		l.lost(res, ErrGone)
		return nil
	}
	ctx, cancel := context.WithTimeout(l.report, lease.reportFor())
	defer cancel()
	r := Report{Attempt: res.Attempt, Status: res.Status, Reason: res.Reason, Output: res.Output, Log: lines.take()}
	for try, pause := 1, reportPause; ; try, pause = try+1, min(2*pause, reportPauses) {
		r.Last = l.last(since)
		next, err := l.Queue.Report(ctx, r)
		if err == nil {
			if next != nil {
				l.log.Info("task polled", next.LogAttrs()...)
			}
			return next
		}
		if errors.Is(err, ErrGone) || errors.Is(err, ErrRejected) || !pauseFor(ctx, pause) {
			l.lost(res, err)
			return nil
		}
		log.Warn("report retried", "try", try, "error", err.Error())
	}
}

// last says whether the answer to a report must not carry another attempt:
// because the worker drains, or because the slot has served one task for so long
// that the others' turn has come.
func (l *life) last(since time.Time) bool {
	return l.poll.Err() != nil || len(l.modules) > 1 && time.Since(since) >= fairShare
}

// lost logs a result that no server took, whole.
func (l *life) lost(res Result, cause error) {
	l.countUndelivered()
	l.log.With(res.Attempt.LogAttrs()...).Error("result not delivered", "error", cause.Error(),
		"status", string(res.Status), "reason", res.Reason, "output", string(res.Output), "story", res.Story)
}

// pauseFor returns true after d, false as soon as ctx has ended.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
