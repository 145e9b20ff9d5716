package workspace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"perago/workspace/localfile"
)

// This file tells what arrived in a Cache from whatever else lies there, by the
// SHA-256 of its key and content. It is an extended attribute of the file: that
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

func (a *arrival) sum() []byte { return a.hash.Sum(nil) }

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
