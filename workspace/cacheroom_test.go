package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func blocks(n int) func(*arrival) error {
	return func(a *arrival) error {
		_, err := io.WriteString(a, strings.Repeat("x", n*blockSize))
		return err
	}
}

// What can never fit is an error at once, before any of it is fetched.
func TestCacheRefusesWhatIsLargerThanItself(t *testing.T) {
	c := newCache(t, t.TempDir(), 2*blockSize)
	put(t, c, "k", 100)
	_, _, err := c.getInTime(context.Background(), hashOf("big"), 5*blockSize, func(*arrival) error {
		t.Error("it is fetched")
		return nil
	})
	for _, want := range []string{"20480 bytes", "8192", "PERAGO_CACHE_MAX_SIZE"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	if !has(c, "k", 100) {
		t.Error("something went for it")
	}
	if left, _ := os.ReadDir(filepath.Join(c.dir, "tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Files in use have their room. Who wants more waits until some are closed, for
// so long and no longer.
func TestCacheWaitsForRoom(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		close, cancel time.Duration // when it happens; 0 is never
		want          string        // of the error
		after         time.Duration
	}{
		"closed in time": {close: 5 * time.Second, after: 5 * time.Second},
		"never closed":   {want: "takes 4096 bytes, and files that are open take 16384 of 16384", after: roomWait},
		"cancelled":      {cancel: 3 * time.Second, want: "the attempt is over", after: 3 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			cache, other := newCache(t, dir, 4*blockSize), newCache(t, dir, 4*blockSize)
			var held []*os.File
			for i := range 4 { // of two processes
				f, _, err := []*Cache{cache, other}[i%2].getInTime(context.Background(), hashOf(fmt.Sprint("held", i)), blockSize, blocks(1))
				if err != nil {
					t.Fatal(err)
				}
				held = append(held, f)
			}
			closeAll := func() {
				for _, f := range held {
					f.Close()
				}
			}
			defer closeAll()
			if c.close > 0 {
				time.AfterFunc(c.close, closeAll)
			}
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			if c.cancel > 0 {
				time.AfterFunc(c.cancel, func() { cancel(errors.New("the attempt is over")) })
			}
			start := time.Now()
			f, _, err := cache.getInTime(ctx, hashOf("more"), blockSize, blocks(1))
			if took := time.Since(start); took < c.after || took > c.after+2*time.Second {
				t.Errorf("%s: after %v, want %v", name, took, c.after)
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", name, err, c.want)
			}
			if c.want != "" && c.cancel == 0 && !strings.Contains(err.Error(), "PERAGO_CACHE_MAX_SIZE") {
				t.Errorf("%s: %v does not say what to do", name, err)
			}
			if total := onDisk(t, dir); total > cache.max {
				t.Errorf("%s: %d bytes are on disk, at most %d may be", name, total, cache.max)
			}
			if err == nil {
				f.Close()
			}
		})
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// What is being fetched has its room from the start, in the eyes of all; what
// comes to nothing gives it back.
func TestCacheRoomOfAFetch(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	c, other := newCache(t, dir, 4*blockSize), newCache(t, dir, 4*blockSize)
	down := errors.New("connection refused")
	for range 3 {
		_, _, err := c.get(ctx, hashOf("a"), 3*blockSize, func(*arrival) error {
			for _, user := range []*Cache{c, other} {
				_, _, err := user.get(ctx, hashOf("b"), 2*blockSize, blocks(2))
				var full *roomError
				if !errors.As(err, &full) || full.held != 3*blockSize {
					t.Errorf("another fetch got %v", err)
				}
				user.get(ctx, hashOf("c"), 1, func(*arrival) error { return down }) // fits beside it
			}
			return down
		})
		if !errors.Is(err, down) {
			t.Fatal(err)
		}
		if total, known := c.total(); total != 0 || !known {
			t.Errorf("the accounts say %d bytes (%t), want none", total, known)
		}
	}
	f, _, err := other.get(ctx, hashOf("b"), 4*blockSize, blocks(4))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	// A process that died while it fetched is forgotten.
	f, err = other.temporary(4 * blockSize)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(f.Name(), old, old); err != nil {
		t.Fatal(err)
	}
	put(t, c, "next", blockSize)
}

// An attempt that keeps its files open ends with an error, not with a disk full
// of them; and what is opened ahead of it takes none of its room.
func TestOpenFilesAreBounded(t *testing.T) {
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("f%02d", i)] = strings.Repeat("x", 32*blockSize) // an eighth of the cache
	}
	files["small"] = "x"
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := NewOverlay(&shelf{files: files}, Ref{Repository: "r", Commit: "c"},
			OverlayOptions{Dir: t.TempDir(), Cache: newCache(t, dir, 1<<20)})
		defer o.Close()
		ctx := context.Background()
		paths, err := o.Glob(ctx, "", "*")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := o.OpenAhead(ctx, paths[0]); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("an eighth of the cache is opened ahead: %v", err)
		}
		open := 0
		for _, path := range paths {
			var f *os.File
			if f, err = o.Open(ctx, path); err != nil {
				break
			}
			defer f.Close()
			open++
		}
		if err == nil || !strings.Contains(err.Error(), "close files") || !strings.Contains(err.Error(), "waited") || open != 8 {
			t.Errorf("%d files of 128 KiB are open in 1 MiB: %v", open, err)
		}
		start := time.Now()
		if _, _, err := o.OpenAhead(ctx, "small"); err == nil || time.Since(start) > 0 {
			t.Errorf("what nobody asked for yet waits %v for room: %v", time.Since(start), err)
		}
		if total := onDisk(t, dir); total > 1<<20 {
			t.Errorf("%d bytes are on disk", total)
		}
	})
}
