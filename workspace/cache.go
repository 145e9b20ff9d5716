package workspace

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"weak"

	"golang.org/x/sys/unix"
)

// Cache keeps the content of objects and listings in a folder, for all attempts
// of all processes that open it. It is bounded by size, with what is in use and
// what is being fetched; what was used longest ago goes first, and what is in
// use never goes. A file in it is never written to: it appears whole, by rename.
//
// A user of a file holds a shared advisory lock on it for as long as it is
// open, in whatever process; who wants to remove it must first get the lock for
// itself. Locks go with their process, so a crash leaves nothing to repair.
//
//	objects/3/3f2c…    one file each, named by a hash of what tells its content
//	tmp/               what is being fetched, locked by who fetches it; its name has its size
//	size, lock         bytes that all these take, and the lock to change them
type Cache struct {
	dir string
	max int64
	of  string // the server that all in it came from

	mu      sync.Mutex
	flights map[string]*flight // what is being fetched by this process
	shared  map[string]weak.Pointer[listing]
	sound   map[string]identity // the files that this process has written or verified, by key

	room     sync.Mutex // taken with the file lock, which holds off other processes only
	reserved int64      // bytes that are in the accounts and not yet used by this process
}

// flight is one fetch that others may be waiting for.
type flight struct {
	over chan struct{} // closed at the end; err and quit are set before
	err  error
	quit bool // who fetched was cancelled: that is no answer for others
}

// CacheOptions bound a Cache.
type CacheOptions struct {
	MaxSize int64  // bytes; 0 is 10 GiB
	Server  string // where contents and listings come from: what one server says is not shown as another's
}

// blockSize is what the size of a file is rounded up to in the accounts.
const blockSize = 4096

// OpenCache opens the cache in dir, made with mode 0700 when it is missing.
func OpenCache(dir string, o *CacheOptions) (*Cache, error) {
	c := &Cache{dir: dir, max: 10 << 30,
		flights: map[string]*flight{}, shared: map[string]weak.Pointer[listing]{}, sound: map[string]identity{}}
	if o != nil && o.MaxSize > 0 {
		c.max = o.MaxSize
	}
	if o != nil {
		c.of = o.Server
	}
	for _, d := range []string{dir, filepath.Join(dir, "objects"), filepath.Join(dir, "tmp")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("open cache: %w", err)
		}
	}
	c.sweepTemporary()
	return c, nil
}

// hashOf names something by its parts.
func hashOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:20])
}

// name is the key of something of the cache's server.
func (c *Cache) name(kind string, parts ...string) string {
	if c == nil {
		return ""
	}
	return hashOf(append([]string{kind, c.of}, parts...)...)
}

func (c *Cache) path(key string) string { return filepath.Join(c.dir, "objects", key[:1], key) }

// get opens what is kept under key, and has it filled in first where it is
// not there; size is its size in bytes, or -1: then what there is no room for is
// handed out all the same. A *roomError: there is no room now. The caller closes
// the file, which cannot be written to. hit says that nothing was fetched by
// this call. Several calls for one key fetch once.
func (c *Cache) get(ctx context.Context, key string, size int64, fill func(*arrival) error) (f *os.File, hit bool, err error) {
	for {
		if f, err := c.open(ctx, key, size); f != nil || err != nil {
			return f, f != nil, err
		}
		c.mu.Lock()
		other := c.flights[key]
		if other == nil {
			c.flights[key] = &flight{over: make(chan struct{})}
		}
		c.mu.Unlock()
		if other == nil {
			return c.fly(ctx, key, size, fill)
		}
		select {
		case <-other.over:
			if other.err != nil && !other.quit {
				return nil, false, other.err
			}
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// fly fetches, and tells who waits for it. Since get looked, another flight may
// have come to its end: then what it brought is there.
func (c *Cache) fly(ctx context.Context, key string, size int64, fill func(*arrival) error) (f *os.File, hit bool, err error) {
	defer func() {
		c.mu.Lock()
		this := c.flights[key]
		delete(c.flights, key)
		c.mu.Unlock()
		this.err, this.quit = err, ctx.Err() != nil || f == nil && err == nil // nil, nil: a panic goes by
		close(this.over)
	}()
	if f, err := c.open(ctx, key, size); f != nil || err != nil {
		return f, f != nil, err
	}
	f, err = c.fetch(ctx, key, size, fill)
	if errors.Is(err, unix.ENOSPC) && c.halve(ctx) {
		f, err = c.fetch(ctx, key, size, fill)
	}
	return f, false, err
}

// open opens what is kept under key, nil when it is not there, or is not what
// arrived. The error is that of the context.
func (c *Cache) open(ctx context.Context, key string, size int64) (*os.File, error) {
	// What is no plain file is not waited for.
	f, err := openPlain(c.path(key), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil
	}
	// A lock that cannot be had is held by who is about to remove the file.
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil || !c.isSound(ctx, f, key, size) {
		f.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, nil
	}
	c.use(f, key)
	return f, nil
}

// fetch fills a file and keeps it under key. A listing that there is no room
// for is handed out all the same; it is gone when it is closed.
func (c *Cache) fetch(ctx context.Context, key string, size int64, fill func(*arrival) error) (*os.File, error) {
	tmp, err := c.begin(ctx, key, size)
	if err != nil {
		return nil, err
	}
	defer tmp.Close() // after the file was opened again: the lock is never let go in between
	a := newArrival(tmp, key)
	if err := fill(a); err != nil {
		c.discard(ctx, tmp, size)
		return nil, err
	}
	f, err := openPlain(tmp.Name(), unix.O_RDONLY, 0)
	if err != nil {
		c.discard(ctx, tmp, size)
		return nil, err
	}
	if err := c.keep(ctx, f, key, size, a.sum()); err != nil {
		c.discard(ctx, tmp, size)
		var full *roomError
		if size >= 0 || !errors.As(err, &full) {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// temporary makes a file to fetch so many bytes into, locked as one in use.
func (c *Cache) temporary(size int64) (*os.File, error) {
	name := filepath.Join(c.dir, "tmp", fmt.Sprintf("%s-%d", rand.Text(), max(0, size)))
	f, err := openPlain(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // someone emptied the cache by hand
		if err = os.MkdirAll(filepath.Dir(name), 0o700); err == nil {
			f, err = openPlain(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return f, nil
}

// openPlain opens a plain file. os.OpenFile would offer it to the poller, which
// takes five more system calls and never comes to anything.
func openPlain(name string, flags int, mode uint32) (*os.File, error) {
	for {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, mode)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), name), nil
		case err != unix.EINTR:
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

// listing returns the listing kept under key, and has it read where there is
// none; with no key, or no cache, it is read each time. fresh says that it was.
func (c *Cache) listing(ctx context.Context, key string, read func() (*listing, error)) (ls *listing, fresh bool, err error) {
	if c == nil || key == "" {
		ls, err = read()
		return ls, true, err
	}
	c.mu.Lock()
	ls = c.shared[key].Value()
	c.mu.Unlock()
	if ls != nil {
		return ls, false, nil
	}
	for {
		f, hit, err := c.get(ctx, key, -1, func(f *arrival) (err error) {
			if ls, err = read(); err != nil {
				return err
			}
			return ls.writeTo(ctx, f)
		})
		if f != nil {
			ls, err = c.readKept(ctx, f, ls)
			if errors.Is(err, errBadListing) && hit {
				os.Remove(c.path(key))
				continue
			}
		}
		if ls == nil {
			return nil, false, err
		}
		c.share(key, ls)
		return ls, !hit, nil // one that could be read and not be kept is as good
	}
}

// share lets other attempts of this process have the listing for as long as
// one of them has.
func (c *Cache) share(key string, ls *listing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.shared) >= 64 {
		maps.DeleteFunc(c.shared, func(_ string, w weak.Pointer[listing]) bool { return w.Value() == nil })
	}
	c.shared[key] = weak.Make(ls)
}

// readKept reads a listing from its file, unless it was just made.
func (c *Cache) readKept(ctx context.Context, f *os.File, made *listing) (*listing, error) {
	defer f.Close()
	if made != nil {
		return made, nil
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return readListing(ctx, f, info.Size())
}
