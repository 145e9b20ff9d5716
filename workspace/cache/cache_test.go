package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func newCache(t *testing.T, dir string, max int64) *Cache {
	t.Helper()
	c, err := Open(dir, &Options{MaxSize: max})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// put keeps size bytes under a name, and closes the file.
func put(t *testing.T, c *Cache, name string, size int) {
	t.Helper()
	f, hit, err := c.TryGet(context.Background(), hashOf(name), int64(size), func(f *Writer) error {
		_, err := io.WriteString(f, strings.Repeat("x", size))
		return err
	})
	if err != nil || hit {
		t.Fatalf("put %s: hit %t, %v", name, hit, err)
	}
	f.Close()
}

func has(c *Cache, name string, size int) bool {
	f, _ := c.open(context.Background(), hashOf(name), int64(size))
	if f == nil {
		return false
	}
	f.Close()
	return true
}

// used sets when an entry was used, in hours before now.
func used(t *testing.T, c *Cache, name string, hours int) {
	t.Helper()
	at := time.Now().Add(-time.Duration(hours) * time.Hour)
	if err := os.Chtimes(c.path(hashOf(name)), at, time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// onDisk sums the files in the cache, as they are charged.
func onDisk(t *testing.T, dir string) (total int64) {
	t.Helper()
	for _, part := range []string{"objects", "tmp"} {
		err := filepath.WalkDir(filepath.Join(dir, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				total += charged(info.Size())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return total
}

func TestCacheEvictsTheLeastRecentlyUsed(t *testing.T) {
	c := newCache(t, t.TempDir(), 10*blockSize)
	for i := range 10 {
		put(t, c, fmt.Sprint(i), 100)
		used(t, c, fmt.Sprint(i), 100-i)
	}
	if !has(c, "0", 100) { // which uses it
		t.Fatal("entry 0 went although there was room")
	}
	put(t, c, "new", 100)
	for name, want := range map[string]bool{"0": true, "1": false, "2": false, "3": true, "9": true, "new": true} {
		if got := has(c, name, 100); got != want {
			t.Errorf("entry %s is kept: %t, want %t", name, got, want)
		}
	}
	if total := onDisk(t, c.dir); total > c.max {
		t.Errorf("%d bytes are kept, at most %d may be", total, c.max)
	}
}

func TestCacheKeepsWhatIsInUse(t *testing.T) {
	dir := t.TempDir()
	c, other := newCache(t, dir, 4*blockSize), newCache(t, dir, 4*blockSize)
	put(t, c, "held", 4)
	held, _ := other.open(context.Background(), hashOf("held"), 4) // as another process would
	if held == nil {
		t.Fatal("another process does not see what is kept")
	}
	for i := range 20 {
		used(t, c, "held", 1000) // it is the first that would go
		put(t, c, fmt.Sprint(i), 100)
		if !has(c, "held", 4) {
			t.Fatalf("what is in use went, after %d more", i)
		}
		if total := onDisk(t, dir); total > c.max {
			t.Fatalf("%d bytes are kept, at most %d may be", total, c.max)
		}
	}
	held.Close()
	used(t, c, "held", 1000)
	for i := range 4 {
		put(t, c, fmt.Sprint("more", i), 100)
	}
	if has(c, "held", 4) {
		t.Error("what is no longer in use stays")
	}
}

// TestCacheBoundHoldsBetweenProcesses has several users fill one cache at once.
func TestCacheBoundHoldsBetweenProcesses(t *testing.T) {
	dir := t.TempDir()
	const max = 16 * blockSize
	var all sync.WaitGroup
	for user := range 4 {
		c := newCache(t, dir, max)
		all.Go(func() {
			for i := range 40 {
				name, size := fmt.Sprint(user, i%30), 1+i*100
				f, _, err := c.TryGet(context.Background(), hashOf(name), int64(size), func(f *Writer) error {
					_, err := io.WriteString(f, strings.Repeat("x", size))
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				if data, err := io.ReadAll(f); err != nil || len(data) != size {
					t.Errorf("%s has %d bytes (%v), want %d", name, len(data), err, size)
				}
				f.Close()
			}
		})
	}
	all.Wait()
	if total := onDisk(t, dir); total > max {
		t.Errorf("%d bytes are kept, at most %d may be", total, max)
	}
}

func TestCacheMendsItself(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	put(t, c, "torn", 100)
	if err := os.Chmod(c.path(hashOf("torn")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(c.path(hashOf("torn")), 3); err != nil {
		t.Fatal(err)
	}
	put(t, c, "torn", 100) // fails when it is a hit
	if !has(c, "torn", 100) {
		t.Error("a torn entry was not replaced")
	}
	if err := os.RemoveAll(c.dir); err != nil { // by hand, under a worker
		t.Fatal(err)
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, c, "torn", 100)
	// What a process that died was fetching.
	dead, alive := filepath.Join(c.dir, "tmp", "dead"), filepath.Join(c.dir, "tmp", "fresh")
	for _, f := range []string{dead, alive} {
		if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dead, old, old); err != nil {
		t.Fatal(err)
	}
	newCache(t, c.dir, 0)
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a dead process was fetching stays: %v", err)
	}
	if _, err := os.Stat(alive); err != nil {
		t.Errorf("what was just made went: %v", err)
	}
}

// TestCacheGivesWayToAFullDisk: what is kept goes before a fetch fails.
func TestCacheGivesWayToAFullDisk(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	for i := range 10 {
		put(t, c, fmt.Sprint(i), 100)
	}
	tries := 0
	f, _, err := c.TryGet(context.Background(), hashOf("new"), 3, func(f *Writer) error {
		if tries++; tries == 1 {
			return &fs.PathError{Op: "write", Path: f.file.Name(), Err: syscall.ENOSPC}
		}
		_, err := io.WriteString(f, "new")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if total := onDisk(t, c.dir); total > 6*blockSize {
		t.Errorf("%d bytes are kept on a disk that is full", total)
	}
	full := func(*Writer) error { return syscall.ENOSPC }
	if _, _, err := newCache(t, t.TempDir(), 0).TryGet(context.Background(), hashOf("x"), 1, full); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("with nothing to give way: got %v", err)
	}
}

func TestCacheFetchesOnce(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	var fetched atomic.Int32
	started, release := make(chan struct{}), make(chan struct{})
	fill := func(f *Writer) error {
		if fetched.Add(1) == 1 {
			close(started)
		}
		<-release
		_, err := io.WriteString(f, "x")
		return err
	}
	var all sync.WaitGroup
	get := func() {
		f, _, err := c.TryGet(context.Background(), hashOf("k"), 1, fill)
		if err != nil {
			t.Error(err)
			return
		}
		f.Close()
	}
	all.Go(get)
	<-started
	for range 8 {
		all.Go(get)
	}
	close(release)
	all.Wait()
	if n := fetched.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

// TestCacheCancelledFetch: who waits for a fetch that is cancelled does it
// itself; a fetch that fails is an answer for all.
func TestCacheCancelledFetch(t *testing.T) {
	dir := t.TempDir()
	down := errors.New("connection refused")
	for _, failure := range []error{nil, down} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t, dir, 0)
			ctx, cancel := context.WithCancel(context.Background())
			fail := make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() {
				_, _, err := c.TryGet(ctx, hashOf("k"), 1, func(f *Writer) error {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-fail:
						return failure
					}
				})
				if err == nil {
					t.Error("the first gets something")
				}
			})
			synctest.Wait()
			all.Go(func() {
				f, hit, err := c.TryGet(context.Background(), hashOf("k"), 1, func(f *Writer) error {
					_, err := io.WriteString(f, "y")
					return err
				})
				if !errors.Is(err, failure) || hit {
					t.Errorf("the second gets hit %t, %v, want %v", hit, err, failure)
				}
				if err == nil {
					f.Close()
				}
			})
			waiting, stop := context.WithCancel(context.Background())
			all.Go(func() {
				if _, _, err := c.TryGet(waiting, hashOf("k"), 1, nil); !errors.Is(err, context.Canceled) {
					t.Errorf("who is cancelled while it waits gets %v", err)
				}
			})
			synctest.Wait()
			stop()
			synctest.Wait()
			if failure == nil {
				cancel()
			} else {
				close(fail)
			}
			all.Wait()
			cancel()
			os.Remove(c.path(hashOf("k")))
		})
	}
}

// A cache that is nearly full is not counted anew for each file that still fits.
func TestCacheFillsUpWithoutCounting(t *testing.T) {
	dir := t.TempDir()
	c := newCache(t, dir, 4096*blockSize) // room is asked for in steps of four blocks
	put(t, c, "first", 1)
	// The file size says that there is room for two blocks more.
	if err := c.setTotal(4094 * blockSize); err != nil {
		t.Fatal(err)
	}
	c.reserved = 0
	for i, want := range []int64{4095, 4096, 4} { // then it is counted: four files are there
		put(t, c, fmt.Sprint("next ", i), 1)
		if total, known := c.total(); total != want*blockSize || !known {
			t.Errorf("after file %d the file size says %d blocks, want %d", i, total/blockSize, want)
		}
	}
}

// Calls that come just when a fetch ends do not fetch again.
func TestCacheFetchesOnceHoweverClose(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	const names, calls = 1500, 8
	var fills atomic.Int64
	for i := range names {
		var all sync.WaitGroup
		for range calls {
			all.Go(func() {
				f, _, err := c.TryGet(context.Background(), hashOf(fmt.Sprint(i)), 1, func(f *Writer) error {
					fills.Add(1)
					_, err := io.WriteString(f, "x")
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				f.Close()
			})
		}
		all.Wait()
	}
	if got := fills.Load(); got != names {
		t.Errorf("%d names were fetched %d times", names, got)
	}
}

func blocks(n int) func(*Writer) error {
	return func(a *Writer) error {
		_, err := io.WriteString(a, strings.Repeat("x", n*blockSize))
		return err
	}
}

// What can never fit is an error at once, before any of it is fetched.
func TestCacheRefusesWhatIsLargerThanItself(t *testing.T) {
	c := newCache(t, t.TempDir(), 2*blockSize)
	put(t, c, "k", 100)
	_, _, err := c.Get(context.Background(), hashOf("big"), 5*blockSize, func(*Writer) error {
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
				f, _, err := []*Cache{cache, other}[i%2].Get(context.Background(), hashOf(fmt.Sprint("held", i)), blockSize, blocks(1))
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
			f, _, err := cache.Get(ctx, hashOf("more"), blockSize, blocks(1))
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
		_, _, err := c.TryGet(ctx, hashOf("a"), 3*blockSize, func(*Writer) error {
			for _, user := range []*Cache{c, other} {
				_, _, err := user.TryGet(ctx, hashOf("b"), 2*blockSize, blocks(2))
				var full *roomError
				if !errors.As(err, &full) || full.held != 3*blockSize {
					t.Errorf("another fetch got %v", err)
				}
				user.TryGet(ctx, hashOf("c"), 1, func(*Writer) error { return down }) // fits beside it
			}
			return down
		})
		if !errors.Is(err, down) {
			t.Fatal(err)
		}
		if total, known := c.total(); total != 0 || !known {
			t.Errorf("the file size says %d bytes (%t), want none", total, known)
		}
	}
	f, _, err := other.TryGet(ctx, hashOf("b"), 4*blockSize, blocks(4))
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

// What lies in the cache and is not what arrived is fetched again.
func TestCacheNoticesWhatIsNotWhatArrived(t *testing.T) {
	ctx := context.Background()
	key, other := hashOf("k"), hashOf("other")
	write := func(path, text string, mode os.FileMode) error {
		return errors.Join(os.Remove(path), os.WriteFile(path, []byte(text), mode))
	}
	for name, c := range map[string]struct {
		do func(path string, c *Cache) error
	}{
		"changed in place, its times set back": {do: func(path string, _ *Cache) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil { // not root
				os.Chmod(path, 0o600)
				f, err = os.OpenFile(path, os.O_WRONLY, 0)
			}
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("evil")
			return errors.Join(err, os.Chmod(path, 0o400), os.Chtimes(path, info.ModTime(), info.ModTime()))
		}},
		"another file": {do: func(path string, _ *Cache) error { return write(path, "evil", 0o400) }},
		"the place of another": {do: func(path string, c *Cache) error {
			return os.Rename(c.path(other), path)
		}},
		"writable":      {do: func(path string, _ *Cache) error { return os.Chmod(path, 0o600) }},
		"a second name": {do: func(path string, c *Cache) error { return os.Link(path, c.dir+"/second") }},
		"no sum":        {do: func(path string, _ *Cache) error { return unix.Removexattr(path, sumAttribute) }},
		"a symlink": {do: func(path string, c *Cache) error {
			return errors.Join(os.Rename(path, c.dir+"/x"), os.Symlink(c.dir+"/x", path))
		}},
		"no file at all": {do: func(path string, _ *Cache) error { return os.Remove(path) }},
	} {
		for _, same := range []bool{true, false} {
			first := newCache(t, t.TempDir(), 0)
			get := func(c *Cache, key, text string) (hit bool) {
				f, hit, err := c.TryGet(ctx, key, 4, func(a *Writer) error {
					_, err := io.WriteString(a, text)
					return err
				})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				defer f.Close()
				if got, err := io.ReadAll(f); err != nil || string(got) != text {
					t.Errorf("%s: read %q, %v, want %q", name, got, err, text)
				}
				if _, err := f.WriteString("evil"); err == nil {
					t.Errorf("%s: what is handed out can be written to", name)
				}
				return hit
			}
			get(first, other, "evil")
			get(first, key, "good")
			if err := c.do(first.path(key), first); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			user := first
			if !same {
				user = newCache(t, first.dir, 0)
			}
			if hit := get(user, key, "good"); hit {
				t.Errorf("%s, used by the process that wrote it %t: a hit %t", name, same, hit)
			}
			if !get(user, key, "good") {
				t.Errorf("%s: what was fetched again is no hit", name)
			}
			if !get(newCache(t, first.dir, 0), key, "good") {
				t.Errorf("%s: what was fetched again is no hit for another process", name)
			}
		}
	}
}

// A file that was removed between its opening and its lock is no hit: it is in
// nobody's accounts, and two users of the key would hold two files.
func TestCacheDoesNotHandOutWhatWasRemoved(t *testing.T) {
	ctx := context.Background()
	c := newCache(t, t.TempDir(), 0)
	put(t, c, "k", 3)
	f, _ := c.open(ctx, hashOf("k"), 3)
	if f == nil {
		t.Fatal("it is not there")
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if c.isIntact(ctx, f, hashOf("k"), 3) {
		t.Error("a file that was removed is a hit")
	}
}

// A file is read once in a process to verify it, and not by who wrote it.
func TestCacheVerifiesOnce(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	put(t, c, "k", 100)
	user, late := newCache(t, c.dir, 0), newCache(t, c.dir, 0)
	if !has(user, "k", 100) {
		t.Fatal("it is no hit for another process")
	}
	path := c.path(hashOf("k"))
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, who := range []*Cache{c, user} {
		if id, is := identify(f); !is || who.verified[hashOf("k")] != id {
			t.Error("it is not remembered")
		}
	}
	// Without the sum a file cannot be verified, and one that is remembered need not be.
	if err := unix.Removexattr(path, sumAttribute); err != nil {
		t.Fatal(err)
	}
	id, _ := identify(f)
	user.trust(hashOf("k"), id)
	used(t, user, "k", 1) // and to use it changes its times
	id, _ = identify(f)
	user.trust(hashOf("k"), id)
	for range 2 {
		if !has(user, "k", 100) {
			t.Error("it is verified again")
		}
	}
	if has(late, "k", 100) {
		t.Error("it is taken without a sum")
	}
}

// A file that takes long to verify does not outlast the attempt.
func TestCacheVerifyEndsWithItsContext(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	put(t, c, "k", 100)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err := newCache(t, c.dir, 0).TryGet(ctx, hashOf("k"), 100, func(*Writer) error {
		t.Error("it is fetched")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
