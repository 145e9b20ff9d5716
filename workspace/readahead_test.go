package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"perago/workspace/glob"
	"perago/workspace/storage"
)

// manyFiles are n files of a folder, with content of the size given.
func manyFiles(n, size int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("raw/%04d.csv", i)] = fmt.Sprintf("%0*d", size, i)
	}
	return files
}

// settle waits for what is being fetched ahead.
func (r *readAhead) settle() { r.done.Wait() }

func TestReadAhead(t *testing.T) {
	ctx := context.Background()
	const n = 40
	cases := []struct {
		name    string
		size    int
		cache   int64 // 0 is plenty
		reads   []int // by index
		fetched int   // objects, in all
	}{
		{"one", 10, 0, []int{7}, 1},
		{"two apart", 10, 0, []int{7, 20}, 2},
		{"two in a row", 10, 0, []int{7, 8}, 4},
		{"three in a row", 10, 0, []int{7, 8, 9}, 7},
		{"the window is as large as the transfers", 10, 0, []int{7, 8, 9, 10, 11}, 9},
		{"to the end", 10, 0, []int{36, 37, 38, 39}, 4},
		{"backwards", 10, 0, []int{9, 8, 7}, 3},
		{"one again", 10, 0, []int{7, 7, 7}, 1},
		{"bounded in bytes", 10_000, 4 * 25_000, []int{7, 8}, 4},
		{"too large to be fetched ahead", 30_000, 4 * 25_000, []int{7, 8}, 2},
	}
	for _, c := range cases {
		for _, how := range []string{"glob", "folder"} {
			s := &shelf{files: manyFiles(n, c.size)}
			o := openOverlay(t, s, Spec{})
			if c.cache > 0 {
				o.opts.Cache = openCache(t, t.TempDir(), c.cache)
			}
			var err error
			if how == "glob" {
				_, err = o.Glob(ctx, "", glob.MustCompile("raw/*.csv"))
			} else {
				_, err = o.ReadDir(ctx, "raw")
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(s.opened) > 0 {
				t.Errorf("%s: a listing fetched %q", c.name, s.opened)
			}
			for _, i := range c.reads {
				path := fmt.Sprintf("raw/%04d.csv", i)
				if got := read(t, o, path); got != s.files[path] {
					t.Errorf("%s: %s is %q", c.name, path, got)
				}
				o.ahead.settle()
			}
			s.mu.Lock()
			if len(s.opened) != c.fetched {
				t.Errorf("%s (%s): fetched %q, want %d", c.name, how, s.opened, c.fetched)
			}
			s.mu.Unlock()
			if u := o.Usage(); u.ObjectsFetched != c.fetched && c.cache == 0 {
				t.Errorf("%s: usage says %+v, want %d fetched", c.name, u, c.fetched)
			}
		}
	}
}

func TestReadAheadLeavesOutWhatWasWritten(t *testing.T) {
	ctx := context.Background()
	s := &shelf{files: manyFiles(10, 4)}
	o := openOverlay(t, s, Spec{})
	if _, err := o.Glob(ctx, "", glob.MustCompile("raw/*")); err != nil {
		t.Fatal(err)
	}
	write(t, o, "raw/0002.csv", "mine")
	if err := o.Remove(ctx, "raw/0003.csv"); err != nil {
		t.Fatal(err)
	}
	read(t, o, "raw/0000.csv")
	read(t, o, "raw/0001.csv")
	o.ahead.settle()
	if len(s.opened) != 2 {
		t.Errorf("fetched %q", s.opened)
	}
}

// TestCloseEndsReadAhead: nothing is under way after Close, and what an attempt
// gave up is no error of another.
func TestCloseEndsReadAhead(t *testing.T) {
	ctx := context.Background()
	s := &shelf{files: manyFiles(40, 4)}
	stuck := make(chan struct{})
	s.broken = func(path, body string) io.Reader {
		if path > "raw/0001.csv" {
			return &waiting{release: stuck, Reader: strings.NewReader(body)}
		}
		return strings.NewReader(body)
	}
	o := openOverlay(t, s, Spec{})
	if _, err := o.Glob(ctx, "", glob.MustCompile("raw/*")); err != nil {
		t.Fatal(err)
	}
	read(t, o, "raw/0000.csv")
	read(t, o, "raw/0001.csv") // 2 and 3 are being fetched now, and hang
	other := NewOverlay(s, o.ref, OverlayOptions{Dir: t.TempDir(), Cache: o.opts.Cache})
	defer other.Close()
	var all sync.WaitGroup
	all.Go(func() {
		if got, err := tryRead(other, "raw/0002.csv"); err != nil || got != s.files["raw/0002.csv"] {
			t.Errorf("another attempt reads %q, %v", got, err)
		}
	})
	all.Go(func() { o.Close() })
	close(stuck)
	all.Wait()
	o.ahead.opened("raw/0002.csv")
	o.ahead.settle()
	if _, err := tryRead(o, "raw/0004.csv"); err != nil {
		t.Errorf("a read after Close: %v", err)
	}
}

type waiting struct {
	release chan struct{}
	io.Reader
}

func (w *waiting) Read(p []byte) (int, error) {
	<-w.release
	return w.Reader.Read(p)
}

// TestConcurrentUse runs everything at once; the race detector is the judge, and
// the end must be one that some order gives.
func TestConcurrentUse(t *testing.T) {
	ctx := context.Background()
	s := &shelf{files: manyFiles(30, 5), hashed: true}
	o := openOverlay(t, s, Spec{})
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			mine := fmt.Sprintf("w%d", worker)
			for i := range 15 {
				p := fmt.Sprintf("raw/%04d.csv", (worker*5+i)%30)
				for _, err := range []error{
					tryWrite(o, mine+"/x", fmt.Sprint(i), Append),
					o.Mkdir(ctx, mine+"/d"),
					tryWrite(o, "shared/file", mine, Replace),
				} {
					if err != nil {
						t.Error(err)
					}
				}
				for _, err := range []error{
					o.Copy(ctx, p, mine+"/copy"), o.Rename(ctx, p, "raw/moved"), o.Remove(ctx, "raw/moved"), o.RemoveTree(ctx, mine+"/d"),
				} {
					if err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Error(err)
					}
				}
				if _, err := tryRead(o, p); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
				for _, err := range []error{
					second(o.Glob(ctx, "", glob.MustCompile("**/*.csv"))), second(o.ReadDir(ctx, "")), second(o.Changes(ctx)), second(o.Staged(ctx)),
				} {
					if err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Error(err)
					}
				}
				o.Usage()
				o.Unnameable()
			}
		})
	}
	all.Wait()
	for worker := range 6 {
		if got, want := read(t, o, fmt.Sprintf("w%d/x", worker)), "01234567891011121314"; got != want {
			t.Errorf("worker %d appended %q, want %q", worker, got, want)
		}
	}
	checkAgreement(t, o)
}

func second[T any](_ T, err error) error { return err }

func TestCancel(t *testing.T) {
	why := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	o := openOverlay(t, &shelf{files: manyFiles(3, 3)}, Spec{})
	_, globErr := o.Glob(ctx, "", glob.MustCompile("raw/*"))
	_, openErr := o.Open(ctx, "raw/0001.csv")
	_, writeErr := o.Create(ctx, "raw/0001.csv", Append)
	for name, err := range map[string]error{"glob": globErr, "open": openErr, "append": writeErr, "rename": o.Rename(ctx, "raw", "x")} {
		if !errors.Is(err, why) {
			t.Errorf("%s after a cancel: got %v, want %v", name, err, why)
		}
	}
	d, err := o.Create(context.Background(), "x", Replace)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(ctx); !errors.Is(err, why) {
		t.Errorf("commit after a cancel: got %v", err)
	}
	if _, err := o.Stat(context.Background(), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was not committed is there: %v", err)
	}
}

func TestDraft(t *testing.T) {
	ctx := context.Background()
	o := openOverlay(t, &shelf{}, Spec{})
	d, err := o.Create(ctx, "x", Replace)
	if err != nil {
		t.Fatal(err)
	}
	d.File.WriteString("text")
	if _, err := o.Stat(ctx, "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a draft is seen before it is committed: %v", err)
	}
	d.Discard()
	d.Discard()
	if _, err := d.Commit(ctx); err == nil {
		t.Error("a discarded draft was committed")
	}
	// What is at its path by then decides.
	d, err = o.Create(ctx, "x", Replace)
	if err != nil {
		t.Fatal(err)
	}
	write(t, o, "x/y", "")
	if _, err := d.Commit(ctx); !errors.Is(err, storage.ErrIsFolder) {
		t.Errorf("commit over a folder: got %v", err)
	}
	// A reader keeps what it opened.
	write(t, o, "f", "old")
	f, err := o.Open(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write(t, o, "f", "new")
	if err := o.Remove(ctx, "f"); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(f); string(data) != "old" || err != nil {
		t.Errorf("an open file reads %q, %v", data, err)
	}
}

// A large file among those that are opened before the body asks does not end
// what is fetched ahead: it is read in its turn, when the body comes to it.
func TestReadAheadGoesOnPastLargeFiles(t *testing.T) {
	ctx := context.Background()
	s := &shelf{files: manyFiles(40, 10)}
	for i := 1; i < 40; i += 2 {
		s.files[fmt.Sprintf("raw/%04d.csv", i)] = strings.Repeat("x", aheadFile+1)
	}
	o := openOverlay(t, s, Spec{})
	if _, err := o.Glob(ctx, "", glob.MustCompile("raw/*.csv")); err != nil {
		t.Fatal(err)
	}
	waited := 0 // for files that were not fetched ahead
	early := map[string]func(){}
	for i := range 40 {
		path := fmt.Sprintf("raw/%04d.csv", i)
		o.ahead.settle()
		if used := early[path]; used != nil {
			used()
		} else {
			there := slices.Contains(s.opened, path)
			f, err := o.Open(ctx, path)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			if !there {
				waited++
			}
		}
		for _, next := range o.Expected(16) {
			if early[next] != nil {
				continue
			}
			f, used, err := o.OpenAhead(ctx, next)
			switch large := len(s.files[next]) > aheadFile; {
			case large && errors.Is(err, errors.ErrUnsupported):
			case large || err != nil:
				t.Fatalf("%s, with %d bytes: %v", next, len(s.files[next]), err)
			default:
				f.Close()
				early[next] = used
			}
		}
	}
	if len(early) < 19 {
		t.Errorf("%d files were opened before the body did, want 19", len(early))
	}
	if waited != 2 {
		t.Errorf("%d files were waited for, want the first two", waited)
	}
}

// What was fetched ahead and is never read is no matter to how many reads found
// their file there.
func TestHitsAreOfWhatWasRead(t *testing.T) {
	s := &shelf{files: manyFiles(40, 10)}
	o := openOverlay(t, s, Spec{})
	if _, err := o.Glob(context.Background(), "", glob.MustCompile("raw/*.csv")); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 0, 1, 2} {
		read(t, o, fmt.Sprintf("raw/%04d.csv", i))
		o.ahead.settle()
		if u := o.Usage(); u.ObjectsHit != want || u.ObjectsRead != i+1 {
			t.Errorf("after %d files: %+v, want %d hits", i+1, u, want)
		}
	}
}
