package worker

import (
	"context"
	"errors"
	"time"

	"perago/engine"
	"perago/engine/logs"
	"perago/engine/queue"
	"perago/panics"
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
func (l *loop) deliver(res engine.Result, lease *lease, lines *logs.ServerLog, since time.Time) (next *queue.Attempt) {
	if lease.gone() {
		l.lost(res, queue.ErrGone)
		return nil
	}
	ctx, cancel := context.WithTimeout(l.report, lease.reportFor())
	defer cancel()
	r := queue.Report{Attempt: res.Attempt, Status: res.Status, Reason: res.Reason, Output: res.Output, Log: lines.Take()}
	next, err := l.offer(ctx, r, func() bool { return l.last(res.Attempt.Task, since) })
	if err != nil {
		l.lost(res, err)
		return nil
	}
	if next != nil {
		l.log.Info("task polled", next.LogAttrs()...)
	}
	if lease.doubtful() {
		panics.Go(&l.group, l.givenUp(res.Attempt), func() { l.lookAfter(res, lease) })
	}
	return next
}

// offer sends a report until the server has it, does not want it, or ctx ends.
func (l *loop) offer(ctx context.Context, r queue.Report, last func() bool) (next *queue.Attempt, err error) {
	for try, pause := 1, reportPause; ; try, pause = try+1, min(2*pause, reportPauses) {
		r.Last = last()
		next, err := l.Queue.Report(ctx, r)
		if err == nil {
			return next, nil
		}
		if errors.Is(err, queue.ErrGone) || errors.Is(err, queue.ErrRejected) || !pauseFor(ctx, pause) {
			return nil, err
		}
		l.log.With(r.Attempt.LogAttrs()...).Warn("report retried", "try", try, "error", err.Error())
	}
}

// lookAfter looks whether the server still has a result that it took while it may
// have been busy with an extension of the lease. Where it shows the attempt as
// running again, it has written over the result, and is given it once more.
//
// An extension that was answered is over, and one look tells. One without an
// answer may be written at any time: until staleFor after it the task is looked
// at again, after 1, 2, 4, … s.
func (l *loop) lookAfter(res engine.Result, lease *lease) {
	doubt := lease.settled()
	ctx, cancel := context.WithTimeout(l.report, lease.reportFor())
	defer cancel()
	a := res.Attempt
	for pause := time.Second; ; pause *= 2 {
		err := l.current(ctx, a)
		if err == nil {
			l.log.With(a.LogAttrs()...).Warn("report repeated: the server shows the attempt as running again")
			r := queue.Report{Attempt: a, Status: res.Status, Reason: res.Reason, Output: res.Output}
			if _, err := l.offer(ctx, r, func() bool { return true }); err != nil {
				l.lost(res, err)
				return
			}
		}
		if time.Now().After(doubt) && (err == nil || errors.Is(err, queue.ErrGone)) || !pauseFor(ctx, pause) {
			return
		}
	}
}

// last says whether the answer to a report must not carry another attempt:
// because the worker drains, because the slot has served one task for so long
// that the others' turn has come, or because the store that it needs is away.
func (l *loop) last(task string, since time.Time) bool {
	return l.poll.Err() != nil || l.store.away() && l.modules[task].Task.Workspace != nil || len(l.modules) > 1 && time.Since(since) >= fairShare
}

// lost logs a result that no server took, whole but for what is secret.
func (l *loop) lost(res engine.Result, cause error) {
	l.countUndelivered()
	l.log.With(res.Attempt.LogAttrs()...).Error("result not delivered", "error", cause.Error(),
		"status", string(res.Status), "reason", res.Reason, "output", res.Redact(string(res.Output)), "story", res.Story)
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
