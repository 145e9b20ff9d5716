package listing

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
func made(t testing.TB, b *Builder, objects iter.Seq[storage.Object]) *Listing {
	t.Helper()
	for o := range objects {
		if err := b.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	l, err := b.Finish(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// reread is a listing that went over a file.
func reread(t testing.TB, l *Listing) *Listing {
	t.Helper()
	var file bytes.Buffer
	if err := l.Write(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	size := int64(file.Len())
	l, err := Read(t.Context(), &file, size)
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

// TestIsASortedSlice: the packed listing answers as a plain sorted slice
// does, in memory and read back from its file.
func TestIsASortedSlice(t *testing.T) {
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
		built := made(t, &Builder{Commit: "c"}, func(yield func(storage.Object) bool) {
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
		for _, l := range []*Listing{built, reread(t, built)} {
			if l.len() != len(plain) || l.Total != len(names) || l.Hidden != len(names)-len(plain) || len(l.HiddenPaths) != l.Hidden {
				t.Fatalf("seed %d: %d of %d objects, %d hidden; want %d of %d", seed, l.len(), l.Total, l.Hidden, len(plain), len(names))
			}
			start := r.IntN(len(plain) + 1)
			end := start + r.IntN(len(plain)-start+1)
			at := start
			for i, e := range l.Entries(start, end) {
				if i != at || e.Path != plain[i] {
					t.Fatalf("seed %d: object %d is %q, want %d, %q", seed, i, e.Path, at, plain[at])
				}
				at++
			}
			if at != end {
				t.Fatalf("seed %d: objects from %d to %d end at %d", seed, start, end, at)
			}
			asked := slices.Concat(names, randomNames(r), []string{"", "\xff", "a"})
			for _, name := range asked {
				i, is := slices.BinarySearch(plain, name)
				if got := l.Index(name); got != i {
					t.Fatalf("seed %d: from(%q) is %d, want %d", seed, name, got, i)
				}
				c, found := l.Find(name)
				if found != is || is && c != NewObject(object(name), "c") {
					t.Fatalf("seed %d: %q is %+v (%t), want %+v (%t)", seed, name, c, found, object(name), is)
				}
				first, last := l.Range(name)
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
				_, left := l.Excluded(name)
				if _, is := l.Find(name); left == is {
					t.Fatalf("seed %d: %q is left out (%t) and there (%t)", seed, name, left, is)
				}
			}
		}
	}
	if deflated < 100 {
		t.Errorf("%d blocks were deflated: the names are too short", deflated)
	}
}

// TestMemory holds listings of real and of hostile shapes to so many
// bytes an object: what is live, and what the system gave at most meanwhile.
// PERAGO_LISTING_FULL=1 has 1,000,000 ordinary names, and 500,000 of 1,000 bytes.
func TestMemory(t *testing.T) {
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
			before := heap()
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
			l := made(t, &Builder{Commit: "c"}, objects)
			look()
			each := float64(heap()-before) / float64(n)
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

// TestEnds: what is done for a listing ends with the attempt.
func TestEnds(t *testing.T) {
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	b := &Builder{}
	l := made(t, b, func(yield func(storage.Object) bool) {
		_ = yield(storage.Object{Path: "a"}) && yield(storage.Object{Path: "a/b"}) && yield(storage.Object{Path: "c"})
	})
	if _, err := b.Finish(ctx, nil); !errors.Is(err, over) {
		t.Errorf("names that are a file and a folder: got %v, want %v", err, over)
	}
	var file bytes.Buffer
	if err := l.Write(ctx, io.Discard); !errors.Is(err, over) {
		t.Errorf("writing: got %v, want %v", err, over)
	}
	if err := l.Write(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(ctx, &file, int64(file.Len())); !errors.Is(err, over) {
		t.Errorf("reading: got %v, want %v", err, over)
	}
}

func TestBound(t *testing.T) {
	for what, name := range map[string]string{"files": "%06d", "names that are not shown": "%06d\n"} {
		b := &Builder{most: 100_000}
		var err error
		n := 0
		for ; err == nil && n < 10_000; n++ {
			err = b.Add(storage.Object{Path: fmt.Sprintf(name, n)})
		}
		var bound *TooLargeError
		if !errors.As(err, &bound) || n < 1000 {
			t.Errorf("%s: got %v after %d, want a bound", what, err, n)
		}
	}
}

func TestFile(t *testing.T) {
	b := Builder{Root: "p/", Commit: "c"}
	sum := strings.Repeat("0af9", 8)
	objects := []storage.Object{
		{Path: "p/", Size: 1},
		{Path: "p/a", Size: 5, Checksum: sum, Hashed: true, Physical: "s3://x/1"},
		{Path: "p/b\n", Size: 5},
		{Path: "p/c", Size: 1 << 40, Checksum: "etag-7", Physical: "s3://x/2"},
		{Path: "p/d", Size: 0, Checksum: strings.ToUpper(sum), Hashed: true},
		{Path: "p/e", Size: 9},
	}
	for _, o := range objects {
		if err := b.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	made, err := b.Finish(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := made.Write(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	read, err := Read(t.Context(), bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Listing{made, read} {
		if l.len() != 4 || l.Total != 6 || l.Hidden != 2 {
			t.Errorf("%d of %d objects, %d left out", l.len(), l.Total, l.Hidden)
		}
		for _, o := range []storage.Object{objects[1], objects[3], objects[4], objects[5]} {
			c, is := l.Find(o.Path)
			if !is || c.Size != o.Size || c.Checksum != o.Checksum || c.Hashed != o.Hashed || c.MD5 != NewObject(o, "c").MD5 || c.Location != NewObject(o, "c").Location {
				t.Errorf("%s is %+v (%t), want %+v", o.Path, c, is, o)
			}
		}
		if reason, out := l.Excluded("p/b\n"); !out || reason == "" {
			t.Errorf("a name with a line feed is left out: %t, %q", out, reason)
		}
	}
	// Any damage is seen.
	for i := range file.Len() {
		bad := bytes.Clone(file.Bytes())
		bad[i] ^= 0x10
		if l, err := Read(t.Context(), bytes.NewReader(bad), int64(len(bad))); err == nil {
			t.Fatalf("byte %d changed, and it is read: %+v", i, l)
		}
		if _, err := Read(t.Context(), bytes.NewReader(bad[:i]), int64(i)); err == nil {
			t.Fatalf("cut at %d, and it is read", i)
		}
	}
	if err := b.Add(storage.Object{Path: "p/a"}); err == nil {
		t.Error("objects out of order are taken")
	}
}

// heap is how many bytes of the heap are live.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
