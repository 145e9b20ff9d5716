package storetest

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"

	"perago/workspace/storage"
)

// Fault is what goes wrong with one call.
type Fault int

const (
	None       Fault = iota
	Lost             // done, and its answer is lost
	Dropped          // never done, and no answer comes
	Late             // no answer comes, and it is done when Release is called
	Doubled          // done twice, answered once: as the second time
	CrashFirst       // the process dies before the call
	CrashAfter       // the process dies when the call is done
)

// String names the fault, for a test's name.
func (f Fault) String() string {
	return [...]string{"none", "lost", "dropped", "late", "doubled", "crash before", "crash after"}[f]
}

// ErrLost is the error of a call without a response, ErrCrashed that of every call of
// a dead process.
var (
	ErrLost    = errors.New("connection reset by peer")
	ErrCrashed = errors.New("the process is dead")
)

// Faulty is a store some of whose calls go wrong. It is safe for concurrent use.
type Faulty struct {
	Store storage.Store
	// Plan says what becomes of call n, counted from 0. It is called before the
	// call is done, without a lock, and may take its time or change the world.
	Plan func(n int, name string) Fault
	// Finish lets a call that is under way when its context ends come to its end
	// before the caller hears of that: a server does not stop because nobody listens.
	// Without it the call may be done later, when the test looks already.
	Finish bool

	mu    sync.Mutex
	calls []string
	late  []func()
	dead  bool
}

var _ storage.Store = (*Faulty)(nil)

// Calls are the names of all calls so far.
func (f *Faulty) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Crashed says whether the process has died.
func (f *Faulty) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// Release does the late calls, in their order; nobody gets the responses.
func (f *Faulty) Release() {
	f.mu.Lock()
	late := f.late
	f.late = nil
	f.mu.Unlock()
	for _, op := range late {
		op()
	}
}

// do does one call as planned. op gets a context of its own when it is late.
func (f *Faulty) do(ctx context.Context, name string, op func(context.Context) error) error {
	f.mu.Lock()
	n := len(f.calls)
	f.calls = append(f.calls, name)
	dead := f.dead
	f.mu.Unlock()
	if dead {
		return ErrCrashed
	}
	fault := None
	if f.Plan != nil {
		fault = f.Plan(n, name)
	}
	switch fault {
	case Lost:
		op(ctx)
		return ErrLost
	case Dropped:
		return ErrLost
	case Late:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.late = append(f.late, func() { op(context.WithoutCancel(ctx)) })
		return ErrLost
	case Doubled:
		op(ctx)
	case CrashFirst:
		f.die()
		return ErrCrashed
	case CrashAfter:
		op(ctx)
		f.die()
		return ErrCrashed
	}
	if !f.Finish || ctx.Err() != nil {
		return op(ctx)
	}
	if err := op(context.WithoutCancel(ctx)); ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

func (f *Faulty) die() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

// ask does one call that returns a value.
func ask[T any](ctx context.Context, f *Faulty, name string, op func(context.Context) (T, error)) (T, error) {
	var value T
	err := f.do(ctx, name, func(ctx context.Context) (err error) {
		value, err = op(ctx)
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return value, nil
}

// walk does one call that returns a sequence.
func walk[T any](ctx context.Context, f *Faulty, name string, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		all, err := ask(ctx, f, name, func(context.Context) (all []T, err error) {
			for v, err := range seq {
				if err != nil {
					return all, err
				}
				all = append(all, v)
			}
			return all, nil
		})
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

func (f *Faulty) List(ctx context.Context, repo, commit, prefix string) iter.Seq2[storage.Object, error] {
	return walk(ctx, f, "List", f.Store.List(ctx, repo, commit, prefix))
}

func (f *Faulty) Open(ctx context.Context, repo, commit, path string) (io.ReadCloser, error) {
	return ask(ctx, f, "Open", func(ctx context.Context) (io.ReadCloser, error) { return f.Store.Open(ctx, repo, commit, path) })
}

func (f *Faulty) Put(ctx context.Context, repo, branch, path string, body storage.Content) (storage.Object, error) {
	return ask(ctx, f, "Put", func(ctx context.Context) (storage.Object, error) {
		return f.Store.Put(ctx, repo, branch, path, body)
	})
}

func (f *Faulty) Remove(ctx context.Context, repo, branch string, paths []string) error {
	return f.do(ctx, "Remove", func(ctx context.Context) error { return f.Store.Remove(ctx, repo, branch, paths) })
}

func (f *Faulty) Copy(ctx context.Context, repo, branch string, c storage.CopyRequest) error {
	return f.do(ctx, "Copy", func(ctx context.Context) error { return f.Store.Copy(ctx, repo, branch, c) })
}

func (f *Faulty) CreateBranch(ctx context.Context, repo, branch, commit string) error {
	return f.do(ctx, "CreateBranch", func(ctx context.Context) error { return f.Store.CreateBranch(ctx, repo, branch, commit) })
}

func (f *Faulty) DeleteBranch(ctx context.Context, repo, branch string) error {
	return f.do(ctx, "DeleteBranch", func(ctx context.Context) error { return f.Store.DeleteBranch(ctx, repo, branch) })
}

func (f *Faulty) Branches(ctx context.Context, repo, prefix string) iter.Seq2[string, error] {
	return walk(ctx, f, "Branches", f.Store.Branches(ctx, repo, prefix))
}

func (f *Faulty) DefaultBranch(ctx context.Context, repo string) (string, error) {
	return ask(ctx, f, "DefaultBranch", func(ctx context.Context) (string, error) { return f.Store.DefaultBranch(ctx, repo) })
}

func (f *Faulty) Head(ctx context.Context, repo, branch string) (string, error) {
	return ask(ctx, f, "Head", func(ctx context.Context) (string, error) { return f.Store.Head(ctx, repo, branch) })
}

func (f *Faulty) Lookup(ctx context.Context, repo, commit string) (storage.Commit, error) {
	return ask(ctx, f, "Lookup", func(ctx context.Context) (storage.Commit, error) { return f.Store.Lookup(ctx, repo, commit) })
}

func (f *Faulty) LastChange(ctx context.Context, repo, commit, path string) (storage.Commit, error) {
	return ask(ctx, f, "LastChange", func(ctx context.Context) (storage.Commit, error) {
		return f.Store.LastChange(ctx, repo, commit, path)
	})
}

// Diff is one call, as FirstParents is.
func (f *Faulty) Diff(ctx context.Context, repo, from, to string) iter.Seq2[storage.Difference, error] {
	return walk(ctx, f, "Diff", f.Store.Diff(ctx, repo, from, to))
}

// FirstParents gives at most 100 commits, which is more than any case makes.
func (f *Faulty) FirstParents(ctx context.Context, repo, commit string) iter.Seq2[storage.Commit, error] {
	return walk(ctx, f, "FirstParents", first(100, f.Store.FirstParents(ctx, repo, commit)))
}

func (f *Faulty) Uncommitted(ctx context.Context, repo, branch string, max int) ([]string, error) {
	return ask(ctx, f, "Uncommitted", func(ctx context.Context) ([]string, error) { return f.Store.Uncommitted(ctx, repo, branch, max) })
}

func (f *Faulty) CommitBranch(ctx context.Context, repo, branch, message string, metadata map[string]string) (storage.Commit, error) {
	return ask(ctx, f, "CommitBranch", func(ctx context.Context) (storage.Commit, error) {
		return f.Store.CommitBranch(ctx, repo, branch, message, metadata)
	})
}

func (f *Faulty) Merge(ctx context.Context, repo string, m storage.Merge) (string, error) {
	return ask(ctx, f, "Merge", func(ctx context.Context) (string, error) { return f.Store.Merge(ctx, repo, m) })
}

func first[T any](n int, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		left := n
		for v, err := range seq {
			if left--; left < 0 || !yield(v, err) {
				return
			}
		}
	}
}
