package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"perago/engine"
	"perago/panics"
	"perago/workspace/storage"
)

const (
	storeFailures = 2                // attempts in a row that the store failed, after which the worker takes no more
	probeMin      = time.Second      // first pause between two probes
	probeMax      = 15 * time.Second // longest
)

// storeWatch keeps a worker that cannot reach the store of its workspaces from
// taking attempts that another worker could complete. After storeFailures
// attempts in a row that the store failed, tasks with a workspace are not polled
// until a probe gets through.
type storeWatch struct {
	probe func(context.Context) error // nil: nothing is ever paused

	mu     sync.Mutex
	failed int  // attempts in a row
	gone   bool // a goroutine probes
}

func (w *storeWatch) away() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone
}

// back lets the tasks be polled again.
func (w *storeWatch) back() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone, w.failed = false, 0
}

// noteStore records whether an attempt of a task with a workspace could reach the
// store.
func (l *loop) noteStore(res engine.Result) {
	w := &l.store
	w.mu.Lock()
	defer w.mu.Unlock()
	if !storeFailed(res.Err) {
		w.failed = 0
		return
	}
	w.failed++
	if w.probe == nil || w.gone || w.failed < storeFailures || l.poll.Err() != nil {
		return
	}
	w.gone = true
	l.log.Warn("tasks with a workspace are not polled until lakeFS answers again", "attempts", w.failed, "error", res.Reason) // not Err, which may quote a secret
	panics.Go(&l.group, func(err error) {
		l.log.Error("lakeFS is not probed any more", "error", err.Error())
		w.back()
	}, l.probeStore)
}

// probeStore asks the store until it answers, or the worker drains.
func (l *loop) probeStore() {
	for pause := probeMin; pauseFor(l.poll, pause); pause = min(2*pause, probeMax) {
		if l.store.probe(l.poll) != nil {
			continue // it was logged why
		}
		l.store.back()
		l.log.Info("tasks with a workspace are polled again")
		return
	}
}

// storeFailed says whether an attempt failed because the store did not answer,
// or answered that it cannot now.
func storeFailed(err error) bool {
	return errors.Is(err, storage.ErrUnreachable) || errors.Is(err, storage.ErrBusy)
}
