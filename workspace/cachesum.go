package workspace

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// This file tells what arrived in a Cache from whatever else lies there, by the
// SHA-256 of its key and content. A symbolic link beside each file says it, as
// its target: it is made by one call, whole or not at all, and takes no block of
// the disk. Its time is when the file was last used, which is not the file's
// own, so that those change only when the file does.
//
// A file is read and held against its link when this process first uses it, and
// again when it has become another file or its times have changed. One that was
// torn, changed or put there is fetched again. That finds damage, and what other
// users do; who runs as the user of the worker can write the link as well.

// sumEnd ends the name of the link beside a file.
const sumEnd = ".sum"

// usedStep is how exactly the time of use is kept.
const usedStep = time.Second

// maxSound bounds the files that are remembered as sound.
const maxSound = 1 << 16

// newSum is the hash of what will be kept under key. The key is in it, so that
// two files cannot change places.
func newSum(key string) hash.Hash {
	h := sha256.New()
	io.WriteString(h, key)
	return h
}

// sumText is how the sum is written: short enough to lie in the link's inode.
func sumText(h hash.Hash) string { return base64.RawURLEncoding.EncodeToString(h.Sum(nil)) }

// arrival is a file while it is filled: what is written to it is hashed.
type arrival struct {
	file *os.File
	key  string
	hash hash.Hash
}

func newArrival(f *os.File, key string) *arrival { return &arrival{f, key, newSum(key)} }

func (a *arrival) Write(p []byte) (int, error) {
	n, err := a.file.Write(p)
	a.hash.Write(p[:n])
	return n, err
}

// restart empties it.
func (a *arrival) restart() error {
	if err := a.file.Truncate(0); err != nil {
		return err
	}
	a.hash = newSum(a.key)
	_, err := a.file.Seek(0, io.SeekStart)
	return err
}

func (a *arrival) sum() string { return sumText(a.hash) }

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
	if !c.verify(ctx, f, key, id) {
		return false
	}
	if after, _ := identify(f); after != id { // it changed while it was read
		return false
	}
	c.trust(key, id)
	return true
}

// verify reads a file and holds it against the sum that was kept with it.
func (c *Cache) verify(ctx context.Context, f *os.File, key string, id identity) bool {
	link := c.path(key) + sumEnd
	var st unix.Stat_t
	if unix.Lstat(link, &st) != nil || int(st.Uid) != os.Geteuid() {
		return false
	}
	want, err := os.Readlink(link)
	if err != nil {
		return false
	}
	h := newSum(key)
	_, err = copyAll(ctx, h, io.NewSectionReader(f, 0, id.size), id.size)
	return err == nil && sumText(h) == want
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

// writeSum keeps the sum of what arrived under key. Where that fails, the file
// is good for this process, and fetched again by others.
func (c *Cache) writeSum(key, sum string) {
	link := c.path(key) + sumEnd
	if err := os.Symlink(sum, link); !errors.Is(err, fs.ErrExist) {
		return
	}
	if old, _ := os.Readlink(link); old == sum {
		return
	}
	os.Remove(link)
	os.Symlink(sum, link)
}

// use notes that what is kept under key is used now; of no consequence when it fails.
func (c *Cache) use(key string) {
	link := c.path(key) + sumEnd
	var st unix.Stat_t
	if now := time.Now(); unix.Lstat(link, &st) == nil && now.Sub(time.Unix(st.Mtim.Unix())) > usedStep {
		at := unix.NsecToTimeval(now.UnixNano())
		unix.Lutimes(link, []unix.Timeval{at, at})
	}
}
