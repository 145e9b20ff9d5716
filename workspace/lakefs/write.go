package lakefs

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/treeverse/lakefs/pkg/api/apigen"

	"perago/workspace/storage"
)

const contentType = "application/octet-stream"

// preSignedMax is the largest object, in bytes, that one request to a block store
// takes. A larger one is uploaded through the server.
const preSignedMax = 5 << 30

// Put uploads one object. When the connection breaks it starts again, which is safe:
// it writes the same bytes to the same path of a branch that is not committed yet.
func (s *Store) Put(ctx context.Context, repo, branch, path string, body storage.Content) (storage.Object, error) {
	st, err := s.storageConfig(ctx)
	if err != nil {
		return storage.Object{}, err
	}
	namespace, err := s.namespace(ctx, repo)
	if err != nil {
		return storage.Object{}, err
	}
	u := upload{store: s, repo: repo, branch: branch, path: path, content: body, what: "upload " + path}
	send := u.viaServer
	if st.preSigned && body.Size <= preSignedMax {
		send = u.preSigned
	}
	var stats apigen.ObjectStats
	err = s.retry(ctx, true, func() (err error) {
		stats, err = send(ctx)
		return err
	})
	switch {
	case status(err) == http.StatusNotFound:
		err = s.missing(ctx, repo, fmt.Errorf("branch %s of %s: %w", branch, repo, storage.ErrUnknownBranch))
	case status(err) == http.StatusForbidden:
		err = fmt.Errorf("branch %s: %w: %w", branch, storage.ErrProtected, err)
	}
	if err != nil {
		return storage.Object{}, err
	}
	return object(stats, namespace), nil
}

// upload is one object that is being uploaded.
type upload struct {
	store              *Store
	repo, branch, path string
	content            storage.Content
	what               string
}

// viaServer sends the bytes to lakeFS itself.
func (u *upload) viaServer(ctx context.Context) (apigen.ObjectStats, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := u.open(cancel)
	if err != nil {
		return apigen.ObjectStats{}, err
	}
	defer body.Close()
	resp, err := u.store.api.UploadObjectWithBody(ctx, u.repo, u.branch, &apigen.UploadObjectParams{Path: u.path}, contentType, body,
		func(_ context.Context, req *http.Request) error {
			setBody(req, body, u.content.Size)
			return nil
		})
	a, err := u.readResponse(ctx, resp, err)
	if err != nil {
		return apigen.ObjectStats{}, err
	}
	if err := u.store.checkResponse(a); err != nil {
		return apigen.ObjectStats{}, err
	}
	stats, err := decode[apigen.ObjectStats](a)
	if err != nil {
		return apigen.ObjectStats{}, err
	}
	return stats, u.verify(stats, body)
}

// preSigned sends the bytes to the block store, and then links them in lakeFS.
func (u *upload) preSigned(ctx context.Context) (apigen.ObjectStats, error) {
	yes := true
	a, err := u.store.sendOnce(ctx, request{what: u.what, send: func(ctx context.Context) (*http.Response, error) {
		return u.store.api.GetPhysicalAddress(ctx, u.repo, u.branch, &apigen.GetPhysicalAddressParams{Path: u.path, Presign: &yes})
	}})
	if err != nil {
		return apigen.ObjectStats{}, err
	}
	location, err := decode[apigen.StagingLocation](a)
	if err != nil {
		return apigen.ObjectStats{}, err
	}
	if location.PresignedUrl == nil {
		return apigen.ObjectStats{}, fmt.Errorf("%s: %w (it gave no pre-signed URL)", u.what, ErrNotLakeFS)
	}
	sum, err := u.toBlockStore(ctx, *location.PresignedUrl)
	if err != nil {
		return apigen.ObjectStats{}, err
	}
	kind := contentType
	a, err = u.store.sendOnce(ctx, request{what: u.what, send: func(ctx context.Context) (*http.Response, error) {
		return u.store.api.LinkPhysicalAddress(ctx, u.repo, u.branch, &apigen.LinkPhysicalAddressParams{Path: u.path},
			apigen.LinkPhysicalAddressJSONRequestBody{Checksum: sum, SizeBytes: u.content.Size, Staging: location, ContentType: &kind})
	}})
	if err != nil {
		return apigen.ObjectStats{}, err
	}
	return decode[apigen.ObjectStats](a)
}

// toBlockStore sends the bytes to a pre-signed URL and returns their MD5.
func (u *upload) toBlockStore(ctx context.Context, to string) (string, error) {
	target, err := u.store.allowed(u.what, to)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := u.open(cancel)
	if err != nil {
		return "", err
	}
	defer body.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target.String(), nil)
	if err != nil {
		return "", fmt.Errorf("%s: %w", u.what, err)
	}
	setBody(req, body, u.content.Size)
	req.Header.Set("Content-Type", contentType)
	if isAzure(req.URL) {
		req.Header.Set("x-ms-blob-type", "BlockBlob")
	}
	resp, err := u.store.http.Do(req)
	a, err := u.readResponse(ctx, resp, err)
	if err != nil {
		return "", err
	}
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		return "", &StatusError{What: u.what + " to the block store", Status: a.status, Message: http.StatusText(a.status)}
	}
	sum, err := body.finish(u.content.Size)
	if err != nil {
		return "", fmt.Errorf("%s: %w", u.what, err)
	}
	return sum, nil
}

// isAzure says whether a URL is one of Azure's block store, which requires a header of its own.
func isAzure(u *url.URL) bool {
	return strings.HasSuffix(u.Hostname(), ".blob.core.windows.net")
}

func setBody(req *http.Request, body io.ReadCloser, size int64) {
	req.ContentLength = size
	req.Body = io.NopCloser(body) // so that it is closed once, by the caller
	if size == 0 {
		req.Body = http.NoBody
	}
	// The transport must not send the rest of a half-read file again by itself.
	req.GetBody = nil
}

// readResponse reads the response to an upload.
func (u *upload) readResponse(ctx context.Context, resp *http.Response, err error) (response, error) {
	if err != nil {
		return response{}, u.store.unreachable(ctx, u.what, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return response{}, u.store.unreachable(ctx, u.what, err)
	}
	return response{what: u.what, status: resp.StatusCode, header: resp.Header, body: data}, nil
}

// verify compares size and checksum of what the server stored with what was sent.
func (u *upload) verify(stats apigen.ObjectStats, body *uploadBody) error {
	sum, err := body.finish(u.content.Size)
	if err != nil {
		return fmt.Errorf("%s: %w", u.what, err)
	}
	if stats.SizeBytes != nil && *stats.SizeBytes != u.content.Size {
		return fmt.Errorf("%s: %d bytes arrived of %d", u.what, *stats.SizeBytes, u.content.Size)
	}
	if raw, err := hex.DecodeString(stats.Checksum); err == nil && len(raw) == md5.Size && !strings.EqualFold(sum, stats.Checksum) {
		return fmt.Errorf("%s: checksum %s arrived, %s was sent", u.what, stats.Checksum, sum)
	}
	return nil
}

// open opens the content at its start. The transfer is cancelled when it stalls.
func (u *upload) open(cancel context.CancelCauseFunc) (*uploadBody, error) {
	f, err := u.content.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.what, &localError{err})
	}
	stall := u.store.opts.Stall
	return &uploadBody{file: f, hash: md5.New(), timer: stallTimer(stall, cancel), stall: stall}, nil
}

// localError is an error of the local disk, after which repeating the request does not help.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// uploadBody is a content that is being sent: it is hashed and counted, and the
// transfer is cancelled when it stalls. It has a lock because a response may come
// while the connection still reads from it.
type uploadBody struct {
	timer *time.Timer
	stall time.Duration

	mu   sync.Mutex
	file io.ReadSeekCloser
	hash hash.Hash
	n    int64
}

func (s *uploadBody) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.file.Read(p)
	s.hash.Write(p[:n])
	s.n += int64(n)
	s.timer.Reset(s.stall)
	if err != nil && err != io.EOF {
		err = &localError{err}
	}
	return n, err
}

func (s *uploadBody) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	return s.file.Close()
}

// finish returns the MD5 of what was sent; an error if that was not the whole content.
func (s *uploadBody) finish(size int64) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n != size {
		return "", &localError{fmt.Errorf("%d bytes were read of %d", s.n, size)}
	}
	return hex.EncodeToString(s.hash.Sum(nil)), nil
}

// Remove deletes objects of a branch, a thousand a request.
func (s *Store) Remove(ctx context.Context, repo, branch string, paths []string) error {
	for batch := range slices.Chunk(paths, pageSize) {
		a, err := s.call(ctx, request{what: "delete from " + branch, repeat: true,
			send: func(ctx context.Context) (*http.Response, error) {
				return s.api.DeleteObjects(ctx, repo, branch, &apigen.DeleteObjectsParams{}, apigen.DeleteObjectsJSONRequestBody{Paths: batch})
			}})
		if err := s.branchError(ctx, repo, branch, err); err != nil {
			return err
		}
		list, err := decode[apigen.ObjectErrorList](a)
		if err != nil {
			return err
		}
		for _, e := range list.Errors {
			if e.StatusCode == http.StatusNotFound {
				continue
			}
			err := &StatusError{What: "delete from " + branch, Status: e.StatusCode, Message: e.Message}
			if e.Path != nil {
				err.What = "delete " + *e.Path
			}
			return s.branchError(ctx, repo, branch, err)
		}
	}
	return nil
}

// Copy has the server copy an object of a commit.
func (s *Store) Copy(ctx context.Context, repo, branch string, c storage.CopyRequest) error {
	_, err := s.call(ctx, request{what: "copy " + c.From, repeat: true, long: true,
		send: func(ctx context.Context) (*http.Response, error) {
			return s.api.CopyObject(ctx, repo, branch, &apigen.CopyObjectParams{DestPath: c.To},
				apigen.CopyObjectJSONRequestBody{SrcPath: c.From, SrcRef: &c.Commit})
		}})
	if status(err) != http.StatusNotFound {
		return s.branchError(ctx, repo, branch, err)
	}
	// The branch, the commit, or the object: each is asked for.
	if _, err := s.Head(ctx, repo, branch); err != nil {
		return err
	}
	if _, err := s.Lookup(ctx, repo, c.Commit); err != nil {
		return err
	}
	return &fs.PathError{Op: "copy", Path: c.From, Err: fs.ErrNotExist}
}

// What lakeFS says, with a 500, of an action file that it cannot read.
const (
	hookAborted = " hook aborted, run id "
	badAction   = "invalid action"
)

// branchError says what a refused change of a branch means.
func (s *Store) branchError(ctx context.Context, repo, branch string, err error) error {
	switch status(err) {
	case http.StatusNotFound:
		return s.missing(ctx, repo, fmt.Errorf("branch %s of %s: %w", branch, repo, storage.ErrUnknownBranch))
	case http.StatusGone:
		return fmt.Errorf("repository %s is being deleted: %w", repo, storage.ErrUnknownRepository)
	case http.StatusForbidden:
		return fmt.Errorf("branch %s: %w: %w", branch, storage.ErrProtected, err)
	case http.StatusPreconditionFailed:
		var e *StatusError
		errors.As(err, &e)
		return &storage.RefusedError{Hook: e.Message}
	case http.StatusConflict:
		return fmt.Errorf("branch %s: %w", branch, storage.ErrConflict)
	}
	var e *StatusError
	if errors.As(err, &e) && strings.Contains(e.Message, hookAborted) && strings.Contains(e.Message, badAction) {
		// Answered as a fault of the server, but it is the repository that has to
		// be repaired.
		return &storage.RefusedError{Hook: e.Message}
	}
	if code := status(err); code == http.StatusTooManyRequests || code >= 500 {
		return fmt.Errorf("%w: %w", storage.ErrBusy, err)
	}
	return err
}
