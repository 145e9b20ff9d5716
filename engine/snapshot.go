package engine

import (
	"slices"
	"time"

	"perago/starlib"
)

// Snapshot says what the worker is doing. It may be called at any time.
func (w *Worker) Snapshot() Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Snapshot{Slots: w.slotCount(), Counts: w.counts, Draining: w.draining}
	for r := range w.running {
		s.Running = append(s.Running, r.Running)
	}
	slices.SortFunc(s.Running, func(a, b Running) int { return a.Since.Compare(b.Since) })
	return s
}

func (w *Worker) enter(r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		w.running = make(map[*running]struct{})
	}
	w.running[r] = struct{}{}
}

func (w *Worker) leave(r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, r)
}

func (w *Worker) setProgress(r *running, p starlib.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Progress = p
}

func (w *Worker) setDraining() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = time.Now()
}

func (w *Worker) count(s Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s {
	case Completed:
		w.counts.Completed++
	case FailedTerminal:
		w.counts.FailedTerminal++
	default:
		w.counts.Failed++
	}
}

func (w *Worker) countUndelivered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.Undelivered++
}
