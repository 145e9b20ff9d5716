package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"perago/workspace/paths"
	"perago/workspace/storage"
)

// made is the listing of some objects.
func made(t testing.TB, b *listingBuilder, objects iter.Seq[storage.Object]) *listing {
	t.Helper()
	for o := range objects {
		if err := b.add(o); err != nil {
			t.Fatal(err)
		}
	}
	l, err := b.finish(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// reread is a listing that went over a file.
func reread(t testing.TB, l *listing) *listing {
	t.Helper()
	var file bytes.Buffer
	if err := l.writeTo(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	size := int64(file.Len())
	l, err := readListing(t.Context(), &file, size)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// randomNames are sorted names that share much, are in folders, beside files
// of the folder's name, and may be long enough to be deflated.
func randomNames(r *rand.Rand) []string {
	parts := []string{"a", "a", "b", "ab", "a-", "a!", "a0", "ä", "日本", "\U0001f600", "x y", "a\n", "~", strings.Repeat("n", 200)}
	if r.IntN(2) == 0 {
		parts = append(parts, strings.Repeat("long", 120), strings.Repeat("/d", 100)[1:])
	}
	names := map[string]bool{}
	for range r.IntN(300) {
		var name []string
		for range 1 + r.IntN(4) {
			name = append(name, parts[r.IntN(len(parts))]+strings.Repeat(strconv.Itoa(r.IntN(10)), r.IntN(2)))
		}
		names[strings.Join(name, "/")] = true
	}
	return sortedKeys(names)
}

func sortedKeys(names map[string]bool) []string {
	var sorted []string
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// TestListingIsASortedSlice: the packed listing answers as a plain sorted slice
// does, in memory and read back from its file.
func TestListingIsASortedSlice(t *testing.T) {
	deflated := 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		names := randomNames(r)
		isFile := map[string]bool{}
		for _, name := range names {
			isFile[name] = paths.Nameable(name)
		}
		out := map[string]bool{} // what is left out
		for _, name := range names {
			out[name] = !paths.Nameable(name)
			for folder := range paths.Ancestors(name) {
				if isFile[folder] && isFile[name] {
					out[folder] = true
				}
			}
		}
		plain := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			for folder := range paths.Ancestors(name) {
				if out[folder] {
					return true
				}
			}
			return out[name]
		})
		object := func(name string) storage.Object {
			o := storage.Object{Path: name, Size: int64(len(name)), Checksum: fmt.Sprintf("%032x", len(name)), Hashed: true, Physical: "s3://" + name}
			switch len(name) % 4 {
			case 1:
				o.Checksum, o.Hashed = "etag-7-"+name[:1], false
			case 2:
				o.Checksum = strings.ToUpper(o.Checksum)
			case 3:
				o.Size = storage.NotMeasured
			}
			return o
		}
		built := made(t, &listingBuilder{commit: "c"}, func(yield func(storage.Object) bool) {
			for _, name := range names {
				if !yield(object(name)) {
					return
				}
			}
		})
		for _, b := range built.blocks {
			if b.inflated > 0 {
				deflated++
			}
		}
		for _, l := range []*listing{built, reread(t, built)} {
			if l.len() != len(plain) || l.total != len(names) || l.hidden != len(names)-len(plain) || len(l.unseen) != l.hidden {
				t.Fatalf("seed %d: %d of %d objects, %d hidden; want %d of %d", seed, l.len(), l.total, l.hidden, len(plain), len(names))
			}
			start := r.IntN(len(plain) + 1)
			end := start + r.IntN(len(plain)-start+1)
			at := start
			for i, e := range l.entries(start, end) {
				if i != at || e.path != plain[i] {
					t.Fatalf("seed %d: object %d is %q, want %d, %q", seed, i, e.path, at, plain[at])
				}
				at++
			}
			if at != end {
				t.Fatalf("seed %d: objects from %d to %d end at %d", seed, start, end, at)
			}
			asked := slices.Concat(names, randomNames(r), []string{"", "\xff", "a"})
			for _, name := range asked {
				i, is := slices.BinarySearch(plain, name)
				if got := l.from(name); got != i {
					t.Fatalf("seed %d: from(%q) is %d, want %d", seed, name, got, i)
				}
				c, found := l.find(name)
				if found != is || is && c != contentOf(object(name), "c") {
					t.Fatalf("seed %d: %q is %+v (%t), want %+v (%t)", seed, name, c, found, object(name), is)
				}
				first, last := l.span(name)
				want := 0
				for _, p := range plain {
					if paths.Under(p, name) {
						want++
					}
				}
				if last-first != want {
					t.Fatalf("seed %d: %d objects below %q, want %d", seed, last-first, name, want)
				}
			}
			for _, name := range names {
				_, left := l.leftOut(name)
				if _, is := l.find(name); left == is {
					t.Fatalf("seed %d: %q is left out (%t) and there (%t)", seed, name, left, is)
				}
			}
		}
	}
	if deflated < 100 {
		t.Errorf("%d blocks were deflated: the names are too short", deflated)
	}
}

// TestListingMemory holds listings of real and of hostile shapes to so many
// bytes an object: what is live, and what the system gave at most meanwhile.
// PERAGO_LISTING_FULL=1 has 1,000,000 ordinary names, and 500,000 of 1,000 bytes.
func TestListingMemory(t *testing.T) {
	full := os.Getenv("PERAGO_LISTING_FULL") != ""
	for _, c := range []struct {
		what              string
		objects, fullSize int
		most              float64 // bytes an object
		name              func(i int) string
	}{
		{"ordinary names", 50_000, 1_000_000, 60, func(i int) string { return fmt.Sprintf("raw/2026/01/plays-%06d.csv", i) }},
		{"deep folders", 50_000, 1_000_000, 80, func(i int) string {
			return fmt.Sprintf("datasets/images/train/class-%04d/image-%08d.parquet", i/1000, i)
		}},
		{"random names", 50_000, 1_000_000, 100, func(i int) string {
			return fmt.Sprintf("raw/%016x-%016x.csv", mix(uint64(i)), mix(uint64(i)+7))
		}},
		{"names of 1,000 bytes", 5_000, 500_000, 150, func(i int) string { return fmt.Sprintf("%08d%s", i, strings.Repeat("n", 992)) }},
		{"names of 1,000 bytes that differ at the end", 5_000, 500_000, 150, func(i int) string { return fmt.Sprintf("%s%08d", strings.Repeat("n", 992), i) }},
		{"500 folders deep", 5_000, 500_000, 200, func(i int) string { return fmt.Sprintf("%08d%s", i, strings.Repeat("/n", 496)) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			n := c.objects
			if full {
				n = c.fullSize
			}
			debug.FreeOSMemory()
			before := heapNow()
			var system, start uint64
			look := func() {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				now := m.Sys - m.HeapReleased
				if start == 0 {
					start = now
				}
				system = max(system, now)
			}
			look()
			objects := func(yield func(storage.Object) bool) {
				for i := range n {
					o := storage.Object{Path: c.name(i), Size: int64(i), Checksum: fmt.Sprintf("%016x%016x", mix(uint64(i)), i), Hashed: true,
						Physical: fmt.Sprintf("s3://bucket/data/%016x/%016x", mix(uint64(i)), mix(uint64(i)+1))}
					if i%20_000 == 0 {
						look()
					}
					if !yield(o) {
						return
					}
				}
			}
			l := made(t, &listingBuilder{commit: "c"}, objects)
			look()
			each := float64(heapNow()-before) / float64(n)
			t.Logf("%d: %.0f bytes each, %.1f MB live; the system gave %.1f MB more at most", n, each, each*float64(n)/1e6, float64(system-start)/1e6)
			if each > c.most || l.len() != n {
				t.Errorf("%.0f bytes for each of %d objects, want at most %.0f", each, l.len(), c.most)
			}
			runtime.KeepAlive(l)
		})
	}
}

// mix is a number without a pattern that grows with i.
func mix(i uint64) uint64 { return i<<40 | (i*0x9e3779b97f4a7c15)>>24 }

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
	o := NewOverlay(&noEnd{after: 5000, cancel: func() { cancel(over) }}, Ref{Repository: "r", Commit: "c"}, OverlayOptions{Cache: newCache(t, t.TempDir(), 0)})
	if _, err := o.Glob(ctx, "", "d/*"); !errors.Is(err, over) {
		t.Errorf("a listing without end: got %v, want %v", err, over)
	}
	b := &listingBuilder{}
	l := made(t, b, func(yield func(storage.Object) bool) {
		_ = yield(storage.Object{Path: "a"}) && yield(storage.Object{Path: "a/b"}) && yield(storage.Object{Path: "c"})
	})
	if _, err := b.finish(ctx, nil); !errors.Is(err, over) {
		t.Errorf("names that are a file and a folder: got %v, want %v", err, over)
	}
	var file bytes.Buffer
	if err := l.writeTo(ctx, io.Discard); !errors.Is(err, over) {
		t.Errorf("writing: got %v, want %v", err, over)
	}
	if err := l.writeTo(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	if _, err := readListing(ctx, &file, int64(file.Len())); !errors.Is(err, over) {
		t.Errorf("reading: got %v, want %v", err, over)
	}
}

func TestListingIsBounded(t *testing.T) {
	for what, name := range map[string]string{"files": "%06d", "names that are not shown": "%06d\n"} {
		b := &listingBuilder{most: 100_000}
		var err error
		n := 0
		for ; err == nil && n < 10_000; n++ {
			err = b.add(storage.Object{Path: fmt.Sprintf(name, n)})
		}
		var bound *BoundError
		if !errors.As(err, &bound) || n < 1000 {
			t.Errorf("%s: got %v after %d, want a bound", what, err, n)
		}
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
// maxAnswer; a guard counts all the same.
func TestAnswersAreBounded(t *testing.T) {
	ctx := t.Context()
	const n = 500
	o := NewOverlay(&many{n: n}, Ref{Repository: "r", Commit: "c"}, OverlayOptions{Spec: Spec{ReadOnly: true}})
	o.room = 499 * 1000
	var bound *BoundError
	if _, err := o.Glob(ctx, "", "d/*"); !errors.As(err, &bound) {
		t.Errorf("glob: got %v, want a bound", err)
	}
	if _, err := o.ReadDir(ctx, "d"); !errors.As(err, &bound) {
		t.Errorf("a folder: got %v, want a bound", err)
	}
	if got, err := o.Glob(ctx, "d", "*1nn*"); err != nil || len(got) != n/10 {
		t.Errorf("a part of it: %d files, %v", len(got), err)
	}
	p, err := CompilePattern("d/*")
	if err != nil {
		t.Fatal(err)
	}
	failures, err := CheckGuards(ctx, o, []Guard{{Kind: GuardGlob, Pattern: p, Min: n, Max: n}, {Kind: GuardForbid, Pattern: p}})
	if err != nil || len(failures) != 1 || !strings.HasPrefix(failures[0].Found, fmt.Sprint(n, " files")) {
		t.Errorf("guards: got %+v, %v", failures, err)
	}
}
