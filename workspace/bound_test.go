package workspace

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"perago/workspace/glob"
	"perago/workspace/listing"
	"perago/workspace/storage"
)

// noEnd is a store whose listing has no end; after some objects it cancels.
type noEnd struct {
	shelf
	after  int
	cancel func()
}

func (s *noEnd) List(context.Context, string, string, string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for i := 0; ; i++ {
			if i == s.after {
				s.cancel()
			}
			if !yield(storage.Object{Path: fmt.Sprintf("d/%012d", i)}, nil) {
				return
			}
		}
	}
}

// TestListingEnds: whatever is done for a listing ends with the attempt.
func TestListingEnds(t *testing.T) {
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	o := NewOverlay(&noEnd{after: 5000, cancel: func() { cancel(over) }}, Ref{Repository: "r", Commit: "c"}, OverlayOptions{Cache: openCache(t, t.TempDir(), 0)})
	if _, err := o.Glob(ctx, "", glob.MustCompile("d/*")); !errors.Is(err, over) {
		t.Errorf("a listing without end: got %v, want %v", err, over)
	}
}

// TestListingIsBounded: a listing that is too large is a bound of the attempt.
func TestListingIsBounded(t *testing.T) {
	var bound *BoundError
	if err := boundOf(&listing.TooLargeError{Bytes: 5, Objects: 2, Most: 4}); !errors.As(err, &bound) || bound.Found != "5 bytes for the first 2 objects" || !errors.Is(err, ErrBound) {
		t.Errorf("got %v", err)
	}
	other := errors.New("connection refused")
	if err := boundOf(other); err != other {
		t.Errorf("got %v, want %v", err, other)
	}
}

// many is a store with files of long names.
type many struct {
	shelf
	n int
}

func (s *many) List(context.Context, string, string, string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for i := range s.n {
			if !yield(storage.Object{Path: fmt.Sprintf("d/%08d%s", i, strings.Repeat("n", 990))}, nil) {
				return
			}
		}
	}
}

// TestAnswersAreBounded: the worker never has more names for one answer than
// maxResult; a guard counts all the same.
func TestAnswersAreBounded(t *testing.T) {
	ctx := t.Context()
	const n = 500
	o := NewOverlay(&many{n: n}, Ref{Repository: "r", Commit: "c"}, OverlayOptions{Spec: Spec{ReadOnly: true}})
	o.room = 499 * 1000
	var bound *BoundError
	if _, err := o.Glob(ctx, "", glob.MustCompile("d/*")); !errors.As(err, &bound) {
		t.Errorf("glob: got %v, want a bound", err)
	}
	if _, err := o.ReadDir(ctx, "d"); !errors.As(err, &bound) {
		t.Errorf("a folder: got %v, want a bound", err)
	}
	if got, err := o.Glob(ctx, "d", glob.MustCompile("*1nn*")); err != nil || len(got) != n/10 {
		t.Errorf("a part of it: %d files, %v", len(got), err)
	}
	p, err := glob.Compile("d/*")
	if err != nil {
		t.Fatal(err)
	}
	failures, err := CheckGuards(ctx, o, []Guard{{Kind: GuardGlob, Pattern: p, Min: n, Max: n}, {Kind: GuardForbid, Pattern: p}})
	if err != nil || len(failures) != 1 || !strings.HasPrefix(failures[0].Found, fmt.Sprint(n, " files")) {
		t.Errorf("guards: got %+v, %v", failures, err)
	}
}
