package workspace

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
)

func newCache(t *testing.T, dir string, max int64) *Cache {
	t.Helper()
	c, err := OpenCache(dir, &CacheOptions{MaxSize: max})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// put keeps size bytes under a name, and closes the file.
func put(t *testing.T, c *Cache, name string, size int) {
	t.Helper()
	f, hit, err := c.get(context.Background(), hashOf(name), int64(size), func(f *arrival) error {
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
				f, _, err := c.get(context.Background(), hashOf(name), int64(size), func(f *arrival) error {
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
	f, _, err := c.get(context.Background(), hashOf("new"), 3, func(f *arrival) error {
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
	full := func(*arrival) error { return syscall.ENOSPC }
	if _, _, err := newCache(t, t.TempDir(), 0).get(context.Background(), hashOf("x"), 1, full); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("with nothing to give way: got %v", err)
	}
}

func TestCacheFetchesOnce(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	var fetched atomic.Int32
	started, release := make(chan struct{}), make(chan struct{})
	fill := func(f *arrival) error {
		if fetched.Add(1) == 1 {
			close(started)
		}
		<-release
		_, err := io.WriteString(f, "x")
		return err
	}
	var all sync.WaitGroup
	get := func() {
		f, _, err := c.get(context.Background(), hashOf("k"), 1, fill)
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
				_, _, err := c.get(ctx, hashOf("k"), 1, func(f *arrival) error {
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
				f, hit, err := c.get(context.Background(), hashOf("k"), 1, func(f *arrival) error {
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
				if _, _, err := c.get(waiting, hashOf("k"), 1, nil); !errors.Is(err, context.Canceled) {
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
	// The accounts say that there is room for two blocks more.
	if err := c.setTotal(4094 * blockSize); err != nil {
		t.Fatal(err)
	}
	c.reserved = 0
	for i, want := range []int64{4095, 4096, 4} { // then it is counted: four files are there
		put(t, c, fmt.Sprint("next ", i), 1)
		if total, known := c.total(); total != want*blockSize || !known {
			t.Errorf("after file %d the accounts say %d blocks, want %d", i, total/blockSize, want)
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
				f, _, err := c.get(context.Background(), hashOf(fmt.Sprint(i)), 1, func(f *arrival) error {
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
