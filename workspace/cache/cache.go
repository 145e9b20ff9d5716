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
// of all processes that open it. Its size is bounded, files in use and files being
// fetched included; the least recently used file is removed first, and a file in
// use is never removed. A file in it is never written to: it appears whole, by
// rename.
//
// Whoever opens a file holds a shared advisory lock on it for as long as it is
// open, in whatever process; whoever removes it must first get the exclusive lock.
// A lock ends with its process, so a crash leaves nothing to repair.
//
//	objects/3/3f2c…    one file each, named by a hash of its key
//	tmp/               files being fetched, locked by the process that fetches; the name has the size
//	size, lock         the bytes that all these take, and the lock to change that number
type Cache struct {
	dir    string
	max    int64
	server string // that all contents came from

	mu       sync.Mutex
	flights  map[string]*flight // what is being fetched by this process
	shared   map[string]interface{ gone() bool }
	verified map[string]identity // the files that this process has written or verified, by key

	room     sync.Mutex // taken together with the file lock, which excludes other processes only
	reserved int64      // bytes that the number in the file size includes, and that this process has not used yet
}

// flight is one fetch that others may be waiting for.
type flight struct {
	done      chan struct{} // closed at the end; err and cancelled are set before
	err       error
	cancelled bool // the caller that fetched was cancelled: others fetch themselves
}

// Options are those of a Cache.
type Options struct {
	MaxSize int64  // bytes; 0 is 10 GiB
	Server  string // where contents and listings come from; those of one server are not used for another
}

// blockSize is what the size of a file is rounded up to a multiple of when sizes are added up.
const blockSize = 4096

// Open opens the cache in dir, made with mode 0700 when it is missing.
func Open(dir string, o *Options) (*Cache, error) {
	c := &Cache{dir: dir, max: 10 << 30,
		flights: map[string]*flight{}, shared: map[string]interface{ gone() bool }{}, verified: map[string]identity{}}
	if o != nil && o.MaxSize > 0 {
		c.max = o.MaxSize
	}
	if o != nil {
		c.server = o.Server
	}
	for _, d := range []string{dir, filepath.Join(dir, "objects"), filepath.Join(dir, "tmp")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("open cache: %w", err)
		}
	}
	c.sweepTemporary()
	return c, nil
}

// hashOf is a hash of the parts, as hex.
func hashOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:20])
}

// Key is the key of a content or a listing of the cache's server; "" without a cache.
func (c *Cache) Key(kind string, parts ...string) string {
	if c == nil {
		return ""
	}
	return hashOf(append([]string{kind, c.server}, parts...)...)
}

func (c *Cache) path(key string) string { return filepath.Join(c.dir, "objects", key[:1], key) }

// MaxSize is how many bytes the cache may take.
func (c *Cache) MaxSize() int64 { return c.max }

// TryGet opens the file of a key, and has fill write it first where there is none.
// size is its size in bytes, or -1 when that is not known: then a file that there is
// no room for is returned all the same, and removed once it is closed. A *roomError
// says that there is no room now. The caller closes the file, which is read-only.
// hit says that this call fetched nothing. Concurrent calls for one key fetch once.
func (c *Cache) TryGet(ctx context.Context, key string, size int64, fill func(*Writer) error) (f *os.File, hit bool, err error) {
	for {
		if f, err := c.open(ctx, key, size); f != nil || err != nil {
			return f, f != nil, err
		}
		c.mu.Lock()
		other := c.flights[key]
		if other == nil {
			c.flights[key] = &flight{done: make(chan struct{})}
		}
		c.mu.Unlock()
		if other == nil {
			return c.fly(ctx, key, size, fill)
		}
		select {
		case <-other.done:
			if other.err != nil && !other.cancelled {
				return nil, false, other.err
			}
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// fly fetches, and wakes the callers that wait for it. Another flight may have
// ended since TryGet did not find the file: then the file is there now.
func (c *Cache) fly(ctx context.Context, key string, size int64, fill func(*Writer) error) (f *os.File, hit bool, err error) {
	defer func() {
		c.mu.Lock()
		this := c.flights[key]
		delete(c.flights, key)
		c.mu.Unlock()
		this.err, this.cancelled = err, ctx.Err() != nil || f == nil && err == nil // nil, nil: fill panics
		close(this.done)
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

// open opens the file of a key; it is nil when there is none, or when it is not
// what was written. The error is that of the context.
func (c *Cache) open(ctx context.Context, key string, size int64) (*os.File, error) {
	// Opening a pipe that somebody put there must not block.
	f, err := openPlain(c.path(key), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil
	}
	// If the lock cannot be taken, another process is about to remove the file.
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil || !c.isIntact(ctx, f, key, size) {
		f.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, nil
	}
	c.use(f, key)
	return f, nil
}

// fetch fills a file and keeps it under key. With size -1, a file that there is no
// room for is returned all the same; it is gone once it is closed.
func (c *Cache) fetch(ctx context.Context, key string, size int64, fill func(*Writer) error) (*os.File, error) {
	tmp, err := c.begin(ctx, key, size)
	if err != nil {
		return nil, err
	}
	defer tmp.Close() // only after the file was opened and locked again, so that it is locked all the time
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

// temporary makes a file to fetch size bytes into, locked as a file in use.
func (c *Cache) temporary(size int64) (*os.File, error) {
	name := filepath.Join(c.dir, "tmp", fmt.Sprintf("%s-%d", rand.Text(), max(0, size)))
	f, err := openPlain(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // somebody emptied the cache by hand
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

// openPlain opens a plain file. os.OpenFile would register it with the poller,
// which takes five more system calls and does nothing for plain files.
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

// Value returns the value that is kept under key. Where there is none, read makes
// it, and it is kept if there is room; without a key or a cache, each call reads.
// fresh says that this call read. Callers of this process that use a value at the
// same time share it.
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
		return v, !hit, nil // the value is good, also where it could not be kept
	}
}

func decode[T any](ctx context.Context, f *os.File, codec Codec[T]) (*T, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return codec.Decode(ctx, f, info.Size())
}

// weakValue is a shared value for as long as a caller of Value has it.
type weakValue[T any] struct{ weak.Pointer[T] }

func (w weakValue[T]) gone() bool { return w.Value() == nil }

// share makes a value available to other callers of this process for as long as
// one of them has it.
func (c *Cache) share(key string, v interface{ gone() bool }) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.shared) >= 64 {
		maps.DeleteFunc(c.shared, func(_ string, v interface{ gone() bool }) bool { return v.gone() })
	}
	c.shared[key] = v
}

// What follows bounds the size of a Cache. The number of bytes in it is kept in the
// file size, which all processes use. It is counted again whenever files are to be
// removed, which corrects what a crash left.

// lockWait is how long one call waits for the lock on the file size. A process that
// holds it longer is counting a large cache, or was stopped.
const lockWait = 2 * time.Second

// roomWait is how long Get waits for room that files in use take.
const roomWait = 30 * time.Second

// roomError says that there is no room in the cache.
type roomError struct {
	need, held, max int64 // bytes; held is what files in use take
	busy            bool  // the lock could not be taken in time
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

// never says whether no amount of waiting helps.
func (e *roomError) never() bool { return e.need > e.max }

// Get is TryGet that waits until files in use are closed and leave room, for
// roomWait at most, since they may be the caller's own.
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

// begin reserves room for what will be kept under key, and makes the file to fetch
// it into. It holds c.room for both, so that a count includes the reservation or
// the file. With size -1, keep reserves the room.
func (c *Cache) begin(ctx context.Context, key string, size int64) (*os.File, error) {
	c.room.Lock()
	defer c.room.Unlock()
	if size < 0 {
		return c.temporary(size)
	}
	if err := c.reserve(ctx, charged(size), key); err != nil {
		return nil, err
	}
	return c.temporary(size) // where it fails, the next count frees the room
}

// discard removes a temporary file, and frees the room that begin reserved; where
// it cannot, the next count does.
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
	os.Remove(tmp.Name()) // under the lock, since a count includes this file
	if total, known := c.total(); known {
		c.setTotal(max(0, total-charged(size)))
	}
}

// keep moves a filled temporary file to where its key is looked up, and reserves
// room first where begin did not; f is the file, open for reading, and sum its hash.
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

// reserve reserves room for a file that is charged so many bytes. Files with one of
// the names except do not count: each is that file, or is about to be replaced by
// it. More than that is reserved at once, so that not every small file costs a
// lock and two file accesses; what a process never uses of it, the next count
// frees. The caller holds c.room.
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
		ask = charge // counting reads all names of the cache: avoid it while this file fits
	}
	if total += ask; !known || total > c.max {
		ask = charge
		held := c.evict(c.max-charge, except...)
		if total = held + charge; total > c.max {
			c.setTotal(held) // when the disk is too full to write the number, the next call counts
			return &roomError{need: charge, held: held, max: c.max}
		}
	}
	if err := c.setTotal(total); err != nil {
		return err
	}
	c.reserved = ask - charge
	return nil
}

// halve removes half of the cache when the disk is full. It says whether it
// removed anything.
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
	c.setTotal(after) // when the disk is too full to write the number, the next call counts
	return after < before
}

func charged(size int64) int64 { return (size + blockSize - 1) / blockSize * blockSize }

// lockRoom takes the lock on the file size; a *roomError says that it was not
// free in time. The caller holds c.room.
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

// total is the number in the file size; the caller holds the lock.
func (c *Cache) total() (total int64, known bool) {
	data, err := os.ReadFile(filepath.Join(c.dir, "size"))
	if err != nil {
		return 0, false
	}
	total, err = strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return total, err == nil && total >= 0
}

// setTotal is not atomic: a number that was half written makes the next call count.
func (c *Cache) setTotal(total int64) error {
	return os.WriteFile(filepath.Join(c.dir, "size"), []byte(strconv.FormatInt(total, 10)+"\n"), 0o600)
}

// kept is one file of the cache.
type kept struct {
	path string
	size int64 // as charged
	used int64 // nanoseconds of the clock
}

// evict adds up the files kept and being fetched, without those of the names in
// except. If that is more than room, it removes the least recently used files until
// a tenth of room is free, or until only files in use are left. It returns the new
// sum. The caller holds the lock.
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

// scan lists the files that are kept, and adds up those and the files being fetched.
func (c *Cache) scan(except ...string) (files []kept, total int64) {
	c.sweepTemporary()
	// Files being fetched come first: one that is moved meanwhile counts twice, not never.
	entries, _ := os.ReadDir(filepath.Join(c.dir, "tmp")) // what cannot be listed cannot be removed either
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || slices.Contains(except, e.Name()) {
			continue
		}
		_, text, _ := strings.Cut(e.Name(), "-")
		size, _ := strconv.ParseInt(text, 10, 64) // 0: not known yet
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

// sweepTemporary removes files that processes which died were fetching. A file that
// was just made may not be locked yet.
func (c *Cache) sweepTemporary() {
	entries, _ := os.ReadDir(filepath.Join(c.dir, "tmp")) // a folder that cannot be read is left
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Minute {
			removeUnused(filepath.Join(c.dir, "tmp", e.Name()))
		}
	}
}

// A file that a Cache wrote is recognised by the SHA-256 of its key and content.
// The sum is an extended attribute of the file: that costs a hundredth of what a
// second file for it would cost, and it is moved together with the file.
//
// A file is read and compared with its sum when this process first uses it, and
// again when it is another file by then, or its times have changed. A file that
// was half written, changed, or put there by somebody is fetched again. That finds
// damage and what other users do; a program that runs as the worker's user can
// write the sum as well. Where the file system has no such attributes, each process
// fetches again.

// sumAttribute is the attribute that holds the sum.
const sumAttribute = "user.perago.sha256"

// usedStep is the precision of the time of last use. Setting it changes the times of
// the file, after which other processes verify the file again.
const usedStep = time.Minute

// maxVerified bounds the files that a process remembers as verified.
const maxVerified = 1 << 16

// newSum is the hash for what will be kept under key. It includes the key, so that
// swapping two files is noticed.
func newSum(key string) hash.Hash {
	h := sha256.New()
	io.WriteString(h, key)
	return h
}

// Writer is a file while it is filled: what is written to it is hashed.
type Writer struct {
	file *os.File
	key  string
	hash hash.Hash
}

// NewWriter is a Writer to f, which is empty.
func NewWriter(f *os.File, key string) *Writer { return &Writer{f, key, newSum(key)} }

func (a *Writer) Write(p []byte) (int, error) {
	n, err := a.file.Write(p)
	a.hash.Write(p[:n])
	return n, err
}

// Restart truncates the file, so that filling it starts again.
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

// identify returns the identity of an open file; is says whether it is like those
// that the cache makes: plain, of this user, with one name, and writable by nobody.
func identify(f *os.File) (id identity, is bool) {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return identity{}, false
	}
	return identity{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()},
		st.Mode&(unix.S_IFMT|0o222) == unix.S_IFREG && st.Nlink == 1 && int(st.Uid) == os.Geteuid()
}

// isIntact says whether an open file is what was written under key, with size
// bytes, or -1 for any number.
func (c *Cache) isIntact(ctx context.Context, f *os.File, key string, size int64) bool {
	id, is := identify(f)
	if !is || size >= 0 && id.size != size {
		return false
	}
	c.mu.Lock()
	known := c.verified[key] == id
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

// verify reads a file of size bytes and compares its hash with its sum.
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

// trust remembers a file as verified.
func (c *Cache) trust(key string, id identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.verified) >= maxVerified {
		clear(c.verified)
	}
	c.verified[key] = id
}

// seal sets the sum of a file, and makes it read-only. Where the sum cannot be
// set, only this process uses the file.
func seal(f *os.File, sum []byte) error {
	unix.Fsetxattr(int(f.Fd()), sumAttribute, sum, 0)
	return f.Chmod(0o400)
}

// use sets the time of last use of a file; where that fails, the file may be
// removed earlier. The new times of the file are remembered as verified.
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
