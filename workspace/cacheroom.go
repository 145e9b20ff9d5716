package workspace

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// This file keeps the bound of a Cache. The bytes in it are kept in a file, so
// that all processes see the same sum; it is counted anew whenever something is
// to go, which puts right what a crash left.

// lockWait is how long the accounts are waited for. Who holds them longer was
// stopped; then we go on without the cache.
const lockWait = 2 * time.Second

// keep moves a filled temporary file to its place, and makes room before; f is
// that file, open for reading. errTooBig when no room can be made.
func (c *Cache) keep(ctx context.Context, f *os.File, key string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return err
	}
	if err := c.reserve(ctx, charged(info.Size()), key); err != nil {
		return err
	}
	path := c.path(key)
	err = os.Rename(f.Name(), path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.Rename(f.Name(), path)
		}
	}
	return err
}

// reserve takes room for a file of so many bytes that will be kept under key.
// The accounts are asked for more than that at once, so that not every small
// file costs a lock and two files; what a process never used of it is put right
// when the cache is counted anew.
func (c *Cache) reserve(ctx context.Context, charge int64, key string) error {
	c.room.Lock()
	defer c.room.Unlock()
	if c.reserved >= charge {
		c.reserved -= charge
		return nil
	}
	unlock, err := c.lockRoom(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	ask := max(charge, min(c.max/1024, 16<<20))
	total, known := c.total()
	if total+ask > c.max {
		ask = charge // to count is dear: not as long as this file fits
	}
	if total += ask; !known || total > c.max {
		ask = charge
		total = c.evict(c.max-charge, key) + charge
	}
	if total > c.max {
		return errTooBig
	}
	if err := c.setTotal(total); err != nil {
		return err
	}
	c.reserved = ask - charge
	return nil
}

// halve frees half of the cache, since the disk is full. It says whether it
// freed anything.
func (c *Cache) halve(ctx context.Context) bool {
	c.room.Lock()
	defer c.room.Unlock()
	unlock, err := c.lockRoom(ctx)
	if err != nil {
		return false
	}
	defer unlock()
	_, before := c.scan("")
	after := c.evict(before/2, "")
	c.setTotal(after) // it may not fit; then it is counted anew
	return after < before
}

func charged(size int64) int64 { return (size + blockSize - 1) / blockSize * blockSize }

// lockRoom takes the accounts from other processes; errTooBig when they cannot
// be had in time. The caller holds c.room.
func (c *Cache) lockRoom(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for deadline := time.Now().Add(lockWait); ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			f.Close()
			return nil, errTooBig
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		}
	}
}

// total is the sum on file; the caller holds the accounts.
func (c *Cache) total() (total int64, known bool) {
	data, err := os.ReadFile(filepath.Join(c.dir, "size"))
	if err != nil {
		return 0, false
	}
	total, err = strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return total, err == nil && total >= 0
}

// setTotal is not atomic: a torn number is as good as none, it is counted anew.
func (c *Cache) setTotal(total int64) error {
	return os.WriteFile(filepath.Join(c.dir, "size"), []byte(strconv.FormatInt(total, 10)+"\n"), 0o600)
}

// kept is one file of the cache.
type kept struct {
	path string
	size int64 // as charged
	used int64 // nanoseconds of the clock
}

// evict counts what is kept, and when that is more than room, removes what was
// used longest ago until a tenth of room is free, or until only what is in use
// is left. What is kept under key does not count: it is about to be replaced.
// It returns the new sum. The caller holds the accounts.
func (c *Cache) evict(room int64, key string) int64 {
	files, total := c.scan(key)
	if total <= room {
		return total
	}
	slices.SortFunc(files, func(a, b kept) int { return cmp.Compare(a.used, b.used) })
	for _, f := range files {
		if total <= room-room/10 {
			break
		}
		if removeUnused(f.path) {
			total -= f.size
		}
	}
	return total
}

func (c *Cache) scan(except string) (files []kept, total int64) {
	root := filepath.Join(c.dir, "objects")
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || d.IsDir() || d.Name() == except || unix.Lstat(path, &st) != nil {
			return nil // what cannot be seen cannot be removed either
		}
		f := kept{path: path, size: charged(st.Size), used: st.Atim.Nano()}
		files = append(files, f)
		total += f.size
		return nil
	})
	return files, total
}

// removeUnused removes a file that nobody holds a lock on.
func removeUnused(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	return os.Remove(path) == nil
}

// sweepTemporary removes what processes that died were fetching. A file that
// was just made may not be locked yet.
func (c *Cache) sweepTemporary() {
	entries, _ := os.ReadDir(filepath.Join(c.dir, "tmp")) // what cannot be read stays
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Minute {
			removeUnused(filepath.Join(c.dir, "tmp", e.Name()))
		}
	}
}
