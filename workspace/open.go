package workspace

import (
	"cmp"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"

	"perago/workspace/cache"
	"perago/workspace/listing"
	"perago/workspace/localfile"
	"perago/workspace/storage"
)

// reads counts the objects of the lower layer that were opened.
type reads struct {
	usage  Usage
	opened map[string]struct{} // by path in the repository
}

// Open opens the content of a file for reading; the caller closes it. The file
// is a plain local one: content of a server is fetched first. It does not change
// when the path is written or deleted afterwards.
func (o *Overlay) Open(ctx context.Context, path string) (*os.File, error) {
	o.ahead.opened(path)
	f, count, err := o.open(ctx, path, math.MaxInt64)
	if err == nil {
		count()
	}
	return f, err
}

// Bounds of a file that OpenAhead fetches: its size in bytes, and the part of the
// cache that it may take, 1/aheadShare, since sixteen such files may be open.
const (
	aheadFile  = 1 << 20
	aheadShare = 256
)

// OpenAhead is Open for a file that the body has not opened yet; the caller calls
// used when the body opens it. errors.ErrUnsupported: the file is too large for that.
func (o *Overlay) OpenAhead(ctx context.Context, path string) (f *os.File, used func(), err error) {
	most := int64(aheadFile)
	if o.opts.Cache != nil {
		most = min(most, o.opts.Cache.MaxSize()/aheadShare)
	}
	o.ahead.openedAhead(path)
	f, count, err := o.open(ctx, path, most)
	return f, func() { o.ahead.opened(path); count() }, err
}

// open opens a file. One that would have to be fetched must have at most most
// bytes, else the error is errors.ErrUnsupported. count counts the file as read.
func (o *Overlay) open(ctx context.Context, path string, most int64) (f *os.File, count func(), err error) {
	for range 3 {
		s, err := o.stateAt(ctx, path)
		switch {
		case err != nil:
		case s.folder:
			err = storage.ErrIsFolder
		case !s.file():
			err = fs.ErrNotExist
		}
		if err != nil {
			return nil, nil, pathError("open", path, err)
		}
		if s.entry != nil && s.entry.blob != nil {
			f, err := os.Open(s.entry.blob.path)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it was replaced just now
			}
			return f, func() {}, pathError("open", path, err)
		}
		c := s.lower
		if c == nil {
			c = s.entry.from
		}
		if c.Size > most {
			return nil, nil, pathError("open", path, errors.ErrUnsupported)
		}
		fetch := o.fetch
		if most < math.MaxInt64 {
			fetch = o.fetchAhead
		}
		f, hit, err := fetch(ctx, *c)
		if err != nil {
			return nil, nil, pathError("open", path, err)
		}
		o.noteContent(c) // also of one that is opened ahead, since the body may read it
		o.mu.Lock()
		defer o.mu.Unlock()
		o.reads.count(*c, hit)
		return f, func() { o.countRead(*c, hit) }, nil
	}
	return nil, nil, pathError("open", path, fs.ErrNotExist)
}

// countRead counts an object of the input commit as read, once; hit says that it
// did not have to be fetched.
func (o *Overlay) countRead(c listing.Object, hit bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.reads.opened[c.Path]; again {
		return
	}
	if o.reads.opened == nil {
		o.reads.opened = map[string]struct{}{}
	}
	o.reads.opened[c.Path] = struct{}{}
	o.reads.usage.ObjectsRead++
	o.reads.usage.BytesRead += c.Size
	if hit {
		o.reads.usage.ObjectsHit++
	}
}

// count counts an object that was fetched.
func (r *reads) count(c listing.Object, hit bool) {
	if !hit {
		r.usage.ObjectsFetched++
		r.usage.BytesFetched += c.Size
	}
}

// fetch opens an object: in place, from the cache, or after a transfer from the
// store. It waits while the cache has no room.
func (o *Overlay) fetch(ctx context.Context, c listing.Object) (f *os.File, hit bool, err error) {
	return o.fetchAs(ctx, c, false)
}

// fetchAhead is fetch for read-ahead: it does not wait for room in the cache.
func (o *Overlay) fetchAhead(ctx context.Context, c listing.Object) (f *os.File, hit bool, err error) {
	return o.fetchAs(ctx, c, true)
}

func (o *Overlay) fetchAs(ctx context.Context, c listing.Object, ahead bool) (f *os.File, hit bool, err error) {
	if local, ok := o.store.(storage.LocalOpener); ok {
		f, err := local.OpenLocal(ctx, o.ref.Repository, cmp.Or(c.Commit, o.ref.Commit), c.Path)
		return f, true, err
	}
	fill := func(a *cache.Writer) error { return o.download(ctx, c, a) }
	if o.opts.Cache != nil {
		get := o.opts.Cache.Get
		if ahead {
			get = o.opts.Cache.TryGet
		}
		return get(ctx, o.cacheKey(c), c.Size, fill)
	}
	if o.opts.Dir != "" {
		if err := os.MkdirAll(o.opts.Dir, 0o700); err != nil {
			return nil, false, err
		}
	}
	filled, err := os.CreateTemp(o.opts.Dir, "")
	if err != nil {
		return nil, false, err
	}
	defer os.Remove(filled.Name()) // the content is freed when the file is closed
	err = fill(cache.NewWriter(filled, ""))
	if err = errors.Join(err, filled.Close()); err != nil {
		return nil, false, err
	}
	f, err = os.Open(filled.Name()) // the file is handed to a child, which must not be able to write to it
	if err != nil {
		return nil, false, err
	}
	return f, false, nil
}

// cacheKey is the key of an object's content, the same for all attempts. It has the
// location in addition to the checksum, so repositories and servers share nothing,
// and two contents with the same MD5 have two keys.
func (o *Overlay) cacheKey(c listing.Object) string {
	return o.opts.Cache.Key("object", o.ref.Repository, string(c.Location[:]), string(c.MD5[:]), strconv.FormatInt(c.Size, 10))
}

// download fetches an object into an empty file, and checks its size, and its MD5
// where that is known. A damaged content is fetched once more.
func (o *Overlay) download(ctx context.Context, c listing.Object, to *cache.Writer) error {
	err := o.downloadOnce(ctx, c, to)
	var damaged *damagedError
	if errors.As(err, &damaged) && ctx.Err() == nil {
		if err = to.Restart(); err == nil {
			err = o.downloadOnce(ctx, c, to)
		}
	}
	if err != nil {
		return fmt.Errorf("download %s: %w", o.lower.pathAtCommit(c.Path), cause(ctx, err))
	}
	return nil
}

// damagedError is a fetched content that is not the one that was listed.
type damagedError struct {
	got, want string
	cause     error
}

func (e *damagedError) Error() string {
	s := "what arrived is not what the store lists: got " + e.got + ", want " + e.want
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

func (e *damagedError) Unwrap() error { return e.cause }

func (o *Overlay) downloadOnce(ctx context.Context, c listing.Object, to *cache.Writer) error {
	body, err := o.store.Open(ctx, o.ref.Repository, cmp.Or(c.Commit, o.ref.Commit), c.Path)
	if err != nil {
		return err
	}
	defer body.Close()
	var sum hash.Hash
	out := io.Writer(to)
	if c.Hashed {
		sum = md5.New()
		out = io.MultiWriter(to, sum)
	}
	// One byte more than expected is read, to notice a longer content.
	from := &bodyReader{from: io.LimitReader(body, c.Size+1)}
	n, err := localfile.Copy(ctx, out, from, c.Size)
	switch {
	case err != nil && from.err == nil:
		return err // of the disk, or the context
	case err != nil || n < c.Size:
		return &damagedError{got: plural(int(n), "byte"), want: plural(int(c.Size), "byte"), cause: from.err}
	case n > c.Size:
		return &damagedError{got: "more", want: plural(int(c.Size), "byte")}
	}
	if sum == nil {
		return nil
	}
	if got := listing.MD5(sum.Sum(nil)); got != c.MD5 {
		return &damagedError{got: fmt.Sprintf("MD5 %x", got), want: fmt.Sprintf("MD5 %x", c.MD5)}
	}
	return nil
}

// bodyReader keeps the error of reading, so that it can be told from one of writing.
type bodyReader struct {
	from io.Reader
	err  error
}

func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}
