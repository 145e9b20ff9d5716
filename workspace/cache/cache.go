// Package cache keeps what came from a server in files of this machine, bounded
// in size, for all attempts of all processes.
package cache

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"weak"

	"golang.org/x/sys/unix"

	"perago/workspace/localfile"
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
	shared  map[string]interface{ gone() bool }
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
type Options struct {
	MaxSize int64  // bytes; 0 is 10 GiB
	Server  string // where contents and listings come from: what one server says is not shown as another's
}

// blockSize is what the size of a file is rounded up to in the accounts.
const blockSize = 4096

// OpenCache opens the cache in dir, made with mode 0700 when it is missing.
func Open(dir string, o *Options) (*Cache, error) {
	c := &Cache{dir: dir, max: 10 << 30,
		flights: map[string]*flight{}, shared: map[string]interface{ gone() bool }{}, sound: map[string]identity{}}
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
func (c *Cache) Key(kind string, parts ...string) string {
	if c == nil {
		return ""
	}
	return hashOf(append([]string{kind, c.of}, parts...)...)
}

func (c *Cache) path(key string) string { return filepath.Join(c.dir, "objects", key[:1], key) }

// MaxSize is how many bytes the cache may take.
func (c *Cache) MaxSize() int64 { return c.max }

// get opens what is kept under key, and has it filled in first where it is
// not there; size is its size in bytes, or -1: then what there is no room for is
// handed out all the same. A *roomError: there is no room now. The caller closes
// the file, which cannot be written to. hit says that nothing was fetched by
// this call. Several calls for one key fetch once.
func (c *Cache) TryGet(ctx context.Context, key string, size int64, fill func(*Writer) error) (f *os.File, hit bool, err error) {
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
func (c *Cache) fly(ctx context.Context, key string, size int64, fill func(*Writer) error) (f *os.File, hit bool, err error) {
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
func (c *Cache) fetch(ctx context.Context, key string, size int64, fill func(*Writer) error) (*os.File, error) {
	tmp, err := c.begin(ctx, key, size)
	if err != nil {
		return nil, err
	}
	defer tmp.Close() // after the file was opened again: the lock is never let go in between
	a := NewWriter(tmp, key)
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

// A Codec writes a value to a file of the cache, and reads it again; size is the
// size of the file in bytes.
type Codec[T any] struct {
	Encode func(v *T, ctx context.Context, to io.Writer) error
	Decode func(ctx context.Context, from io.Reader, size int64) (*T, error)
}

// Value returns the value that is kept under key. Where there is none it is made
// by read, and kept if there is room for it; with no key, or no cache, it is read
// each time. fresh says that it was read. Callers of this process that use a value
// at the same time share it.
func Value[T any](ctx context.Context, c *Cache, key string, codec Codec[T], read func() (*T, error)) (v *T, fresh bool, err error) {
	if c == nil || key == "" {
		v, err = read()
		return v, true, err
	}
	c.mu.Lock()
	if w, is := c.shared[key].(weakValue[T]); is {
		v = w.Value()
	}
	c.mu.Unlock()
	if v != nil {
		return v, false, nil
	}
	for {
		f, hit, err := c.TryGet(ctx, key, -1, func(f *Writer) (err error) {
			if v, err = read(); err != nil {
				return err
			}
			return codec.Encode(v, ctx, f)
		})
		if f != nil && v == nil {
			if v, err = decode(ctx, f, codec); err != nil && hit && ctx.Err() == nil {
				os.Remove(c.path(key)) // it is damaged, or of another version
				f.Close()
				continue
			}
		}
		f.Close()
		if v == nil {
			return nil, false, err
		}
		c.share(key, weakValue[T]{weak.Make(v)})
		return v, !hit, nil // a value that could be read and not be kept is as good
	}
}

func decode[T any](ctx context.Context, f *os.File, codec Codec[T]) (*T, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return codec.Decode(ctx, f, info.Size())
}

// weakValue is a value of Value for as long as one of its callers has it.
type weakValue[T any] struct{ weak.Pointer[T] }

func (w weakValue[T]) gone() bool { return w.Value() == nil }

// share lets other callers of this process have the value for as long as one of
// them has.
func (c *Cache) share(key string, v interface{ gone() bool }) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.shared) >= 64 {
		maps.DeleteFunc(c.shared, func(_ string, v interface{ gone() bool }) bool { return v.gone() })
	}
	c.shared[key] = v
}

// The bound of a Cache. The bytes in it are kept in a file, so
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
func (c *Cache) Get(ctx context.Context, key string, size int64, fill func(*Writer) error) (f *os.File, hit bool, err error) {
	deadline := time.Now().Add(roomWait)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		f, hit, err = c.TryGet(ctx, key, size, fill)
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

// What arrived in a Cache is told from whatever else lies there by the SHA-256 of
// its key and content. The sum is an extended attribute of the file: that
// costs a hundredth of a second file beside it, and goes wherever the file goes.
//
// A file is read and held against its sum when this process first uses it, and
// again when it has become another file or its times have changed. One that was
// torn, changed or put there is fetched again. That finds damage, and what other
// users do; who runs as the user of the worker can write the sum as well. Where
// the file system has no attributes, each process fetches anew.

// sumAttribute is the attribute that holds the sum.
const sumAttribute = "user.perago.sha256"

// usedStep is how exactly the time of use is kept. To note it changes the file's
// times, so that other processes read it once more.
const usedStep = time.Minute

// maxSound bounds the files that are remembered as sound.
const maxSound = 1 << 16

// newSum is the hash of what will be kept under key. The key is in it, so that
// two files cannot change places.
func newSum(key string) hash.Hash {
	h := sha256.New()
	io.WriteString(h, key)
	return h
}

// arrival is a file while it is filled: what is written to it is hashed.
type Writer struct {
	file *os.File
	key  string
	hash hash.Hash
}

func NewWriter(f *os.File, key string) *Writer { return &Writer{f, key, newSum(key)} }

func (a *Writer) Write(p []byte) (int, error) {
	n, err := a.file.Write(p)
	a.hash.Write(p[:n])
	return n, err
}

// restart empties it.
func (a *Writer) Restart() error {
	if err := a.file.Truncate(0); err != nil {
		return err
	}
	a.hash = newSum(a.key)
	_, err := a.file.Seek(0, io.SeekStart)
	return err
}

func (a *Writer) sum() []byte { return a.hash.Sum(nil) }

// identity is what changes when a file is changed or replaced, whoever does it.
type identity struct {
	dev, ino           uint64
	size, mtime, ctime int64
}

// identify looks at an open file; is says that it is one that the cache makes:
// plain, of this user, with one name, and writable by nobody.
func identify(f *os.File) (id identity, is bool) {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return identity{}, false
	}
	return identity{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()},
		st.Mode&(unix.S_IFMT|0o222) == unix.S_IFREG && st.Nlink == 1 && int(st.Uid) == os.Geteuid()
}

// isSound says whether an open file is what arrived under key, with so many
// bytes, or -1.
func (c *Cache) isSound(ctx context.Context, f *os.File, key string, size int64) bool {
	id, is := identify(f)
	if !is || size >= 0 && id.size != size {
		return false
	}
	c.mu.Lock()
	known := c.sound[key] == id
	c.mu.Unlock()
	if known {
		return true
	}
	if !verify(ctx, f, key, id.size) {
		return false
	}
	if after, _ := identify(f); after != id { // it changed while it was read
		return false
	}
	c.trust(key, id)
	return true
}

// verify reads a file of so many bytes and holds it against its sum.
func verify(ctx context.Context, f *os.File, key string, size int64) bool {
	want := make([]byte, sha256.Size)
	n, err := unix.Fgetxattr(int(f.Fd()), sumAttribute, want)
	if err != nil || n != len(want) {
		return false
	}
	h := newSum(key)
	_, err = localfile.Copy(ctx, h, io.NewSectionReader(f, 0, size), size)
	return err == nil && bytes.Equal(h.Sum(nil), want)
}

// trust remembers a file as what arrived under key.
func (c *Cache) trust(key string, id identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sound) >= maxSound {
		clear(c.sound)
	}
	c.sound[key] = id
}

// seal writes the sum of a file beside its content, and lets nobody write to
// it any more. Where there is no room for the sum, the file is good for this
// process only.
func seal(f *os.File, sum []byte) error {
	unix.Fsetxattr(int(f.Fd()), sumAttribute, sum, 0)
	return f.Chmod(0o400)
}

// use notes that what is kept under key is used now; of no consequence when it
// fails. That changes the file's times, and they are remembered.
func (c *Cache) use(f *os.File, key string) {
	var st unix.Stat_t
	now := time.Now()
	before, is := identify(f)
	if !is || unix.Fstat(int(f.Fd()), &st) != nil || now.Sub(time.Unix(st.Atim.Unix())) <= usedStep {
		return
	}
	os.Chtimes(c.path(key), now, time.Time{})
	after, is := identify(f)
	before.ctime = after.ctime
	if is && after == before {
		c.trust(key, after)
	}
}
