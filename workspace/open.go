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

// reads counts what was opened of the lower layer.
type reads struct {
	usage  Usage
	opened map[string]struct{} // by path in the repository
}

// Open opens the content of a file for reading; the caller closes it. The file
// is a plain local one: content that is elsewhere is fetched first. It stays
// what it is, even when the path is written or deleted afterwards.
func (o *Overlay) Open(ctx context.Context, path string) (*os.File, error) {
	o.ahead.opened(path)
	f, count, err := o.open(ctx, path, math.MaxInt64)
	if err == nil {
		count()
	}
	return f, err
}

// aheadFile is the largest file, in bytes, that is fetched only because it is
// expected to be read, and the largest share of the cache that it takes: sixteen
// of them wait open.
const (
	aheadFile  = 1 << 20
	aheadShare = 256
)

// OpenAhead is Open for a file that the body has not opened yet; used is called when
// it does. errors.ErrUnsupported: the file is too large to be fetched before that.
func (o *Overlay) OpenAhead(ctx context.Context, path string) (f *os.File, used func(), err error) {
	most := int64(aheadFile)
	if o.opts.Cache != nil {
		most = min(most, o.opts.Cache.MaxSize()/aheadShare)
	}
	o.ahead.openedAhead(path)
	f, count, err := o.open(ctx, path, most)
	return f, func() { o.ahead.opened(path); count() }, err
}

// open opens a file; one that would have to be fetched only up to a size of most.
// count counts it as read.
func (o *Overlay) open(ctx context.Context, path string, most int64) (f *os.File, count func(), err error) {
	for range 3 {
		s, err := o.look(ctx, path)
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
		o.noteContent(c) // also of one that is fetched ahead: who has the file may read it
		o.mu.Lock()
		defer o.mu.Unlock()
		o.reads.count(*c, hit)
		return f, func() { o.countRead(*c, hit) }, nil
	}
	return nil, nil, pathError("open", path, fs.ErrNotExist)
}

// countRead counts an object of the input commit as read, once; hit says that
// it was not fetched for that.
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

// count notes what came over the wire.
func (r *reads) count(c listing.Object, hit bool) {
	if !hit {
		r.usage.ObjectsFetched++
		r.usage.BytesFetched += c.Size
	}
}

// fetch opens an object where it lies, out of the cache, or from the store.
// Where the cache has no room it waits for some.
func (o *Overlay) fetch(ctx context.Context, c listing.Object) (f *os.File, hit bool, err error) {
	return o.fetchAs(ctx, c, false)
}

// fetchAhead is fetch for what nobody asked for yet: it does not wait for room.
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
	defer os.Remove(filled.Name()) // the content goes when the file is closed
	err = fill(cache.NewWriter(filled, ""))
	if err = errors.Join(err, filled.Close()); err != nil {
		return nil, false, err
	}
	f, err = os.Open(filled.Name()) // who reads cannot write, a child least of all
	if err != nil {
		return nil, false, err
	}
	return f, false, nil
}

// cacheKey names the content of an object for all attempts: by where the store
// keeps it, beside its checksum. Repositories and servers share nothing, and two
// contents with one MD5 are two.
func (o *Overlay) cacheKey(c listing.Object) string {
	return o.opts.Cache.Key("object", o.ref.Repository, string(c.Location[:]), string(c.MD5[:]), strconv.FormatInt(c.Size, 10))
}

// download brings an object into an empty file, and checks it: the size, and
// the checksum where it is one of the content. What arrives damaged is fetched
// once more.
func (o *Overlay) download(ctx context.Context, c listing.Object, to *cache.Writer) error {
	err := o.downloadOnce(ctx, c, to)
	var damaged *damagedError
	if errors.As(err, &damaged) && ctx.Err() == nil {
		if err = to.Restart(); err == nil {
			err = o.downloadOnce(ctx, c, to)
		}
	}
	if err != nil {
		return fmt.Errorf("download %s: %w", o.lower.at(c.Path), cause(ctx, err))
	}
	return nil
}

// damagedError is content that is not the one that was listed.
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
	// One byte more than there should be tells of more.
	from := &bodyReader{from: io.LimitReader(body, c.Size+1)}
	n, err := localfile.Copy(ctx, out, from, c.Size)
	switch {
	case err != nil && from.err == nil:
		return err // the disk's, or a cancel
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

// bodyReader keeps the error of what it reads apart from that of the writer.
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
