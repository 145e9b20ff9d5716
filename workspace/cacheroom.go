package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// lockWait is how long the accounts are waited for at once. Who holds them
// longer counts a large cache, or was stopped.
const lockWait = 2 * time.Second

// roomWait is how long an object waits for room that files in use take.
const roomWait = 30 * time.Second

// roomError says that there is no room in the cache.
type roomError struct {
	need, held, max int64 // bytes; held is taken by files in use
	busy            bool  // how much there is could not be found out
}

func (e *roomError) Error() string {
	switch {
	case e.busy:
		return "no room in the cache: another process holds its lock; look for a perago that is stopped on this machine"
	case e.never():
		return fmt.Sprintf("no room in the cache: the file takes %d bytes, all of them may take %d; raise PERAGO_CACHE_MAX_SIZE", e.need, e.max)
	}
	return fmt.Sprintf("no room in the cache: the file takes %d bytes, and files that are open take %d of %d; "+
		"close files before others are opened, or raise PERAGO_CACHE_MAX_SIZE", e.need, e.held, e.max)
}

// never says that no wait will help.
func (e *roomError) never() bool { return e.need > e.max }

// getInTime is get that waits for room, since files in use are closed some
// time: roomWait at most, as it may be the caller's own files.
func (c *Cache) getInTime(ctx context.Context, key string, size int64, fill func(*arrival) error) (f *os.File, hit bool, err error) {
	deadline := time.Now().Add(roomWait)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		f, hit, err = c.get(ctx, key, size, fill)
		var full *roomError
		switch {
		case !errors.As(err, &full) || full.never():
			return f, hit, err
		case time.Now().After(deadline):
			return nil, false, fmt.Errorf("%w (waited %v)", err, roomWait)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// begin takes room for what will be kept under key, and makes the file to fetch
// it into. Both in one, so that whoever counts sees the one or the other. The
// size -1 is not known yet: keep takes the room.
func (c *Cache) begin(ctx context.Context, key string, size int64) (*os.File, error) {
	c.room.Lock()
	defer c.room.Unlock()
	if size < 0 {
		return c.temporary(size)
	}
	if err := c.reserve(ctx, charged(size), key); err != nil {
		return nil, err
	}
	return c.temporary(size) // where it fails, the room comes back when the cache is counted anew
}

// discard removes a temporary file, and gives back the room that begin took.
// What cannot be given back now is when the cache is counted anew.
func (c *Cache) discard(ctx context.Context, tmp *os.File, size int64) {
	defer os.Remove(tmp.Name())
	if size < 0 {
		return
	}
	c.room.Lock()
	defer c.room.Unlock()
	unlock, err := c.lockRoom(ctx)
	if err != nil {
		return
	}
	defer unlock()
	os.Remove(tmp.Name()) // under the lock: who counts the cache counts it as well
	if total, known := c.total(); known {
		c.setTotal(max(0, total-charged(size)))
	}
}

// keep moves a filled temporary file to its place, and takes room before where
// begin did not; f is that file, open for reading, and sum its hash.
func (c *Cache) keep(ctx context.Context, f *os.File, key string, size int64, sum []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return err
	}
	if size < 0 {
		c.room.Lock()
		err := c.reserve(ctx, charged(info.Size()), key, filepath.Base(f.Name()))
		c.room.Unlock()
		if err != nil {
			return err
		}
	}
	path := c.path(key)
	if err := seal(f, sum); err != nil {
		return err
	}
	err = os.Rename(f.Name(), path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.Rename(f.Name(), path)
		}
	}
	if err != nil {
		return err
	}
	if id, is := identify(f); is {
		c.trust(key, id)
	}
	return nil
}

// reserve takes room for a file of so many bytes; what has one of the names
// except does not count: it is that file, or is about to be replaced by it. The
// accounts are asked for more than that at once, so that not every small file
// costs a lock and two files; what a process never used of it is put right when
// the cache is counted anew. The caller holds c.room.
func (c *Cache) reserve(ctx context.Context, charge int64, except ...string) error {
	if charge > c.max {
		return &roomError{need: charge, max: c.max}
	}
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
		held := c.evict(c.max-charge, except...)
		if total = held + charge; total > c.max {
			c.setTotal(held) // it may not fit on the disk; then it is counted anew
			return &roomError{need: charge, held: held, max: c.max}
		}
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
	_, before := c.scan()
	after := c.evict(before / 2)
	c.setTotal(after) // it may not fit; then it is counted anew
	return after < before
}

func charged(size int64) int64 { return (size + blockSize - 1) / blockSize * blockSize }

// lockRoom takes the accounts from other processes; a *roomError when they
// cannot be had in time. The caller holds c.room.
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
			return nil, &roomError{busy: true}
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

// evict counts what is kept and what is being fetched, and when that is more
// than room, removes what was used longest ago until a tenth of room is free, or
// until only what is in use is left. It returns the new sum, without the names
// in except. The caller holds the accounts.
func (c *Cache) evict(room int64, except ...string) int64 {
	files, total := c.scan(except...)
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

// scan lists what is kept, and sums it with what is being fetched.
func (c *Cache) scan(except ...string) (files []kept, total int64) {
	c.sweepTemporary()
	// First what is being fetched: a file that moves meanwhile counts twice.
	entries, _ := os.ReadDir(filepath.Join(c.dir, "tmp")) // what cannot be seen cannot be removed either
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || slices.Contains(except, e.Name()) {
			continue
		}
		_, text, _ := strings.Cut(e.Name(), "-")
		size, _ := strconv.ParseInt(text, 10, 64) // 0 is not known
		total += charged(max(size, info.Size()))
	}
	root := filepath.Join(c.dir, "objects")
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || d.IsDir() || unix.Lstat(path, &st) != nil {
			return nil
		}
		if slices.Contains(except, d.Name()) {
			return nil
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
