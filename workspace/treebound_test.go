package workspace

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"perago/workspace/glob"
)

// heapNow is what is alive on the heap, in bytes.
func heapNow() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fill does something until the attempt has no room left, and says how much of
// the heap its tree then takes.
func fill(t *testing.T, o *Overlay, do func(i int) error) int64 {
	t.Helper()
	before := heapNow()
	for i := range 2_000_000 {
		err := do(i)
		var bound *BoundError
		if errors.As(err, &bound) {
			after := heapNow()
			t.Logf("%.400v after %d; %.1f MiB of heap, %.1f accounted", err, i, float64(after-before)/(1<<20), float64(o.upper.memory)/(1<<20))
			runtime.KeepAlive(o)
			return after - before
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("there was no bound")
	return 0
}

// What an attempt makes of names costs the worker what is accounted for it,
// however it is made. The bound is a tenth of the real one.
func TestTreeBounded(t *testing.T) {
	const most = maxTree / 10
	long := strings.Repeat("/a", 505)
	for _, c := range []struct {
		name string
		do   func(t *testing.T, o *Overlay) func(i int) error
	}{
		{"folders", func(t *testing.T, o *Overlay) func(int) error {
			return func(i int) error { return o.Mkdir(t.Context(), fmt.Sprint("d", i)) }
		}},
		{"deep folders", func(t *testing.T, o *Overlay) func(int) error {
			return func(i int) error { return o.Mkdir(t.Context(), fmt.Sprint(i)+long) }
		}},
		{"long names", func(t *testing.T, o *Overlay) func(int) error {
			return func(i int) error { return o.Mkdir(t.Context(), fmt.Sprint(i)+strings.Repeat("n", 1000)) }
		}},
		{"copies of a file", func(t *testing.T, o *Overlay) func(int) error {
			write(t, o, "f", "x")
			return func(i int) error { return o.Copy(t.Context(), "f", fmt.Sprint("d/", i)) }
		}},
		{"copies of an object", func(t *testing.T, o *Overlay) func(int) error {
			return func(i int) error { return o.Copy(t.Context(), "raw/a.csv", fmt.Sprint("d/", i)) }
		}},
		{"a folder twice a level", func(t *testing.T, o *Overlay) func(int) error {
			write(t, o, "0/f", "x")
			return func(i int) error {
				from, to := fmt.Sprint(i), fmt.Sprint(i+1)
				return errors.Join(o.Copy(t.Context(), from, to+"/a"), o.Copy(t.Context(), from, to+"/b"))
			}
		}},
		{"folders that come and go", func(t *testing.T, o *Overlay) func(int) error {
			return func(i int) error {
				for k := range 20 {
					if err := o.Mkdir(t.Context(), fmt.Sprintf("d%d/%d", i, k)); err != nil {
						return err
					}
				}
				for k := range 19 {
					if err := o.RemoveTree(t.Context(), fmt.Sprintf("d%d/%d", i, k)); err != nil {
						return err
					}
				}
				return nil
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := openOverlay(t, &shelf{files: map[string]string{"raw/a.csv": "a"}}, Spec{})
			o.upper.most = most
			o.trace = nil // it has a bound of its own
			if got := fill(t, o, c.do(t, o)); got > most*5/4 {
				t.Errorf("%d bytes of heap, want at most %d", got, most*5/4)
			}
		})
	}
}

func TestTreeCounts(t *testing.T) {
	o := openOverlay(t, &shelf{files: map[string]string{"raw/a": "a", "raw/b": "b", "raw/c": "c"}}, Spec{})
	o.opts.Files, o.opts.Scratch = 3, 10
	ctx := t.Context()
	refused := func(what, bound string, err error) {
		t.Helper()
		var b *BoundError
		if !errors.As(err, &b) || b.Bound != bound {
			t.Errorf("%s: got %v, want a bound of %s", what, err, bound)
		}
	}
	write(t, o, "x", "12345")
	refused("a folder of 3 copied beside 1", "files", o.Copy(ctx, "raw", "copy"))
	refused("a folder of 3 removed beside 1", "files", o.RemoveTree(ctx, "raw"))
	o.opts.Files = 6 // 3 that are there, 3 that are gone
	refused("a folder of 3 moved beside 1", "files", o.Rename(ctx, "raw", "moved"))
	o.opts.Files = 3
	if got, err := o.Glob(ctx, "", glob.MustCompile("**")); err != nil || len(got) != 4 {
		t.Errorf("a refused operation left %q, %v", got, err)
	}
	if err := o.Copy(ctx, "x", "y"); err != nil { // takes no bytes
		t.Error(err)
	}
	d, err := o.Create(ctx, "z", Replace)
	if err != nil {
		t.Fatal(err)
	}
	d.File.WriteString("123456")
	_, err = d.Commit(ctx)
	refused("11 bytes of 10", "scratch", err)
	for range 5 { // what is written over is given back
		write(t, o, "z", "12345")
	}
	refused("a fourth", "files", o.Remove(ctx, "raw/a"))
	for _, p := range []string{"x", "y", "z"} {
		if err := o.Remove(ctx, p); err != nil {
			t.Error(err)
		}
	}
	if o.upper.memory != 0 || o.upper.paths != 0 || o.upper.stored != 0 {
		t.Errorf("an empty tree accounts %d bytes of memory, %d of paths, %d stored", o.upper.memory, o.upper.paths, o.upper.stored)
	}
}

// What open files have by now counts as written.
func TestOpenDraftsCountAsScratch(t *testing.T) {
	o := openOverlay(t, &shelf{files: map[string]string{"raw/a": "1234567"}}, Spec{})
	o.opts.Scratch = 10
	ctx := t.Context()
	one, err := o.Create(ctx, "one", Replace)
	if err != nil {
		t.Fatal(err)
	}
	one.File.WriteString("1234")
	var bound *BoundError
	if _, err := o.Create(ctx, "raw/a", Append); !errors.As(err, &bound) {
		t.Errorf("a file of 7 bytes appended to beside 4: got %v, want the bound of scratch", err)
	}
	two, err := o.Create(ctx, "two", Replace)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.CheckScratch(); err != nil {
		t.Errorf("4 of 10 bytes: %v", err)
	}
	two.File.WriteString("1234567")
	if err := o.CheckScratch(); !errors.As(err, &bound) {
		t.Errorf("11 of 10 bytes: got %v, want the bound of scratch", err)
	}
	if _, err := o.Create(ctx, "three", Replace); !errors.As(err, &bound) {
		t.Errorf("a third beside 11 bytes: got %v, want the bound of scratch", err)
	}
	if _, err := two.Commit(ctx); !errors.As(err, &bound) {
		t.Errorf("a commit with 11 bytes: got %v, want the bound of scratch", err)
	}
	if _, err := one.Commit(ctx); err != nil { // the other is gone
		t.Error(err)
	}
	if err := o.CheckScratch(); err != nil || len(o.drafts) != 0 {
		t.Errorf("%v, %d drafts left", err, len(o.drafts))
	}
}

// What is in a folder with a long name is listed with that name: what a listing
// takes is bounded as the tree is.
func TestListingOfATreeBounded(t *testing.T) {
	const most = maxTree / 10
	folder := strings.Repeat("n", 1000)
	for name, do := range map[string]func(o *Overlay, i int) error{
		"folders": func(o *Overlay, i int) error { return o.Mkdir(t.Context(), fmt.Sprint(folder, "/", i)) },
		"files":   func(o *Overlay, i int) error { return o.Copy(t.Context(), "raw/a.csv", fmt.Sprint(folder, "/", i)) },
	} {
		o := openOverlay(t, &shelf{files: map[string]string{"raw/a.csv": "a"}}, Spec{})
		o.upper.most = most
		fill(t, o, func(i int) error { return do(o, i) })
		listed := 0
		o.upper.walk("", func(path string, _ *node) bool {
			listed += len(path)
			return true
		})
		if listed > most || int64(listed) != o.upper.paths {
			t.Errorf("%s: paths of %d bytes, %d accounted, want at most %d", name, listed, o.upper.paths, most)
		}
	}
}

// A loop over files ends soon after its context, however dear the pattern is.
func TestGlobEnds(t *testing.T) {
	files := map[string]string{}
	for i := range 2000 {
		files[fmt.Sprintf("d/%s%d", strings.Repeat("a", 200), i)] = ""
	}
	o := openOverlay(t, &shelf{files: files}, Spec{})
	if _, err := o.Glob(t.Context(), "", glob.MustCompile("d/*")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	cancel(over)
	if _, err := o.Glob(ctx, "d", glob.MustCompile(strings.Repeat("*a", 1000)+"b")); !errors.Is(err, over) {
		t.Errorf("got %v, want %v", err, over)
	}
	if _, err := glob.Compile(strings.Repeat("*a", 4000)); err == nil {
		t.Error("a pattern of 8000 bytes was taken")
	}
}
