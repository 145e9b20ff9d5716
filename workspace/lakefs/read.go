package lakefs

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/treeverse/lakefs/pkg/api/apigen"

	"perago/workspace/storage"
)

// pageSize is the largest page that the server gives.
const pageSize = 1000

// List yields the objects of a commit, a page at a time.
func (s *Store) List(ctx context.Context, repo, commit, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		namespace, err := s.namespace(ctx, repo)
		if err != nil {
			yield(storage.Object{}, err)
			return
		}
		for after := ""; ; {
			page, err := s.page(ctx, repo, commit, pageRequest{prefix: prefix, after: after, most: pageSize})
			if err != nil {
				yield(storage.Object{}, err)
				return
			}
			for _, o := range page.Results {
				if !yield(object(o, namespace), nil) {
					return
				}
			}
			if !page.Pagination.HasMore {
				return
			}
			// Without this check, a next page that is not further on would be requested for ever.
			if page.Pagination.NextOffset <= after {
				yield(storage.Object{}, fmt.Errorf("list %s: %w (the next page is not further on)", commit, ErrNotLakeFS))
				return
			}
			after = page.Pagination.NextOffset
		}
	}
}

// pageRequest says which page of a listing is wanted.
type pageRequest struct {
	prefix, after string
	most          int // objects
}

func (s *Store) page(ctx context.Context, repo, commit string, from pageRequest) (apigen.ObjectStatsList, error) {
	amount := apigen.PaginationAmount(from.most)
	after, prefix := apigen.PaginationAfter(from.after), apigen.PaginationPrefix(from.prefix)
	no := false
	a, err := s.call(ctx, request{what: "list " + commit, repeat: true,
		send: func(ctx context.Context) (*http.Response, error) {
			return s.api.ListObjects(ctx, repo, commit, &apigen.ListObjectsParams{
				After: &after, Amount: &amount, Prefix: &prefix, UserMetadata: &no, Presign: &no})
		}})
	if status(err) == http.StatusNotFound {
		err = s.missing(ctx, repo, fmt.Errorf("commit %s of %s: %w", commit, repo, storage.ErrUnknownCommit))
	}
	if err != nil {
		return apigen.ObjectStatsList{}, err
	}
	return decode[apigen.ObjectStatsList](a)
}

// object is an object as the server describes it. Its checksum is a hash of the bytes
// if it was written through the server; that of an imported object is whatever the
// block store has as its ETag.
func object(o apigen.ObjectStats, namespace string) storage.Object {
	obj := storage.Object{Path: o.Path, Checksum: o.Checksum, Physical: o.PhysicalAddress}
	if o.SizeBytes != nil {
		obj.Size = *o.SizeBytes
	}
	sum, err := hex.DecodeString(o.Checksum)
	// The local block store gives addresses in its folder, not in its namespace, and
	// imports nothing whose checksum is not a hash.
	ours := strings.HasPrefix(namespace, "local://") || strings.HasPrefix(o.PhysicalAddress, namespace+"/")
	obj.Hashed = err == nil && len(sum) == 16 && o.Checksum == strings.ToLower(o.Checksum) && ours
	return obj
}

// namespace is where a repository keeps its objects; it never changes.
func (s *Store) namespace(ctx context.Context, repo string) (string, error) {
	s.mu.Lock()
	known, ok := s.namespaces[repo]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	r, err := s.repository(ctx, repo)
	if err != nil {
		return "", err
	}
	namespace := strings.TrimRight(r.StorageNamespace, "/")
	s.mu.Lock()
	s.namespaces[repo] = namespace
	s.mu.Unlock()
	return namespace, nil
}

// Open streams one object. When the connection breaks, it requests the rest.
func (s *Store) Open(ctx context.Context, repo, commit, path string) (io.ReadCloser, error) {
	st, err := s.storageConfig(ctx)
	if err != nil {
		return nil, err
	}
	d := &download{ctx: ctx, store: s, repo: repo, commit: commit, path: path, preSigned: st.preSigned}
	err = s.retry(ctx, true, d.open)
	switch {
	case status(err) == http.StatusGone, d.direct && status(err) == http.StatusNotFound:
		err = fmt.Errorf("%w: the bytes are gone from the block store", err)
	case status(err) == http.StatusNotFound:
		_, err = s.Lookup(ctx, repo, commit)
		if err == nil {
			err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// download is an object that is being read.
type download struct {
	ctx                context.Context
	store              *Store
	repo, commit, path string
	preSigned          bool

	body   io.ReadCloser
	direct bool  // the response is from the block store itself
	got    int64 // bytes that were read
	size   int64 // of the object; -1 when the server does not say
	etag   string
}

// open requests the object, from the first byte that was not read yet.
func (d *download) open() error {
	resp, cancel, err := d.get()
	if err != nil {
		return err
	}
	fail := func(err error) error {
		resp.Body.Close()
		cancel(err)
		return err
	}
	switch {
	case d.got == 0 && resp.StatusCode == http.StatusOK:
		d.size, d.etag = resp.ContentLength, resp.Header.Get("ETag")
	case d.got > 0 && resp.StatusCode == http.StatusPartialContent && resp.Header.Get("ETag") == d.etag:
	case d.got > 0 && resp.StatusCode < 300:
		return fail(&StatusError{What: "download " + d.path, Status: resp.StatusCode, Message: "the server does not give the rest alone"})
	case d.direct:
		return fail(&StatusError{What: "download " + d.path + " from the block store", Status: resp.StatusCode, Message: http.StatusText(resp.StatusCode)})
	default:
		body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		if err != nil {
			return fail(d.store.unreachable(d.ctx, "download "+d.path, err))
		}
		a := response{what: "download " + d.path, status: resp.StatusCode, header: resp.Header, body: body}
		if err := d.store.checkResponse(a); err != nil {
			return fail(err)
		}
		return fail(&StatusError{What: a.what, Status: a.status, Message: a.message()})
	}
	d.body = &stallReader{ReadCloser: resp.Body, timer: stallTimer(d.store.opts.Stall, cancel), stall: d.store.opts.Stall, cancel: cancel}
	return nil
}

// get sends the request, to the block store if the server gives a URL of it.
func (d *download) get() (*http.Response, context.CancelCauseFunc, error) {
	s := d.store
	d.direct = false
	ctx, cancel := context.WithCancelCause(d.ctx)
	timer := stallTimer(s.opts.Timeout, cancel)
	defer timer.Stop()
	params := &apigen.GetObjectParams{Path: d.path}
	if d.preSigned {
		params.Presign = &d.preSigned
	}
	var from string
	if d.got > 0 {
		from = fmt.Sprintf("bytes=%d-", d.got)
		params.Range = &from
	}
	resp, err := s.api.GetObject(ctx, d.repo, d.commit, params)
	if err == nil && d.preSigned && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		resp.Body.Close()
		d.direct = true
		resp, err = s.follow(ctx, "download "+d.path, resp.Header.Get("Location"), from)
	}
	if err != nil {
		if !errors.Is(err, ErrHost) && !errors.Is(err, ErrNotLakeFS) {
			err = s.unreachable(ctx, "download "+d.path, err)
		}
		cancel(err)
		return nil, nil, err
	}
	return resp, cancel, nil
}

// follow requests a pre-signed URL, without the access key, which the block store must not get.
func (s *Store) follow(ctx context.Context, what, location, from string) (*http.Response, error) {
	to, err := s.allowed(what, location)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, err
	}
	if from != "" {
		req.Header.Set("Range", from)
	}
	return s.http.Do(req)
}

// Read reads, and reconnects when the connection breaks.
func (d *download) Read(p []byte) (int, error) {
	for breaks := 0; ; breaks++ {
		n, err := d.body.Read(p)
		d.got += int64(n)
		if err == nil || n > 0 {
			return n, nil
		}
		if err == io.EOF && (d.size < 0 || d.got == d.size) {
			return 0, io.EOF
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		d.body.Close()
		if d.ctx.Err() != nil {
			return 0, context.Cause(d.ctx)
		}
		if breaks == tries || d.got == d.size {
			return 0, fmt.Errorf("download %s: %w", d.path, err)
		}
		if err := d.store.retry(d.ctx, true, d.open); err != nil {
			return 0, err
		}
	}
}

// Close ends the download.
func (d *download) Close() error { return d.body.Close() }

// stallTimer cancels a transfer if it is not reset in time.
func stallTimer(after time.Duration, cancel context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(after, func() { cancel(fmt.Errorf("nothing moved for %s", after)) })
}

// stallReader is a body whose transfer is cancelled when no byte comes for a while.
type stallReader struct {
	io.ReadCloser
	timer  *time.Timer
	stall  time.Duration
	cancel context.CancelCauseFunc
}

func (w *stallReader) Read(p []byte) (int, error) {
	w.timer.Reset(w.stall)
	n, err := w.ReadCloser.Read(p)
	w.timer.Stop() // the time between two reads does not count
	return n, err
}

func (w *stallReader) Close() error {
	w.timer.Stop()
	err := w.ReadCloser.Close()
	w.cancel(nil)
	return err
}
