package workspace

import (
	"context"
	"errors"
	"io"
	"os"
)

// OverlayOptions say how a commit is seen.
type OverlayOptions struct {
	Spec        Spec
	Dir         string // folder for the upper layer, made when it is missing; required unless Spec.ReadOnly
	Cache       *Cache // nil: nothing is kept beyond the Overlay
	Concurrency int    // transfers at once for read-ahead; 0 is 16
}

// Overlay is a commit seen as the private folder of one attempt. It is safe
// for concurrent use.
type Overlay struct {
	store Reader
	ref   Ref
	opts  OverlayOptions
}

// NewOverlay makes the view; nothing is read before it is asked for.
func NewOverlay(store Reader, ref Ref, o OverlayOptions) *Overlay {
	return &Overlay{store: store, ref: ref, opts: o}
}

// Staged is one path that the attempt leaves different from the input commit.
type Staged struct {
	Path string // in the repository, prefix included
	Op   Op
	Size int64                             // bytes; 0 for Deleted
	Open func() (io.ReadSeekCloser, error) // the new content; nil for Deleted, and when From is set
	From string                            // not "": the content is that of this unchanged object of the input commit (its path in the repository)
}

// Cache holds content shared by attempts.
type Cache struct{}

// CacheOptions bound a Cache.
type CacheOptions struct {
	MaxSize int64 // bytes; 0 is 10 GiB
}

// OpenCache opens the cache in dir.
func OpenCache(dir string, o *CacheOptions) (*Cache, error) { return nil, errNotYet }

var errNotYet = errors.New("not built yet")

func (o *Overlay) Stat(ctx context.Context, path string) (Info, error)      { return Info{}, errNotYet }
func (o *Overlay) ReadDir(ctx context.Context, path string) ([]Info, error) { return nil, errNotYet }
func (o *Overlay) Glob(ctx context.Context, dir, pattern string) ([]string, error) {
	return nil, errNotYet
}
func (o *Overlay) Open(ctx context.Context, path string) (*os.File, error) { return nil, errNotYet }
func (o *Overlay) Create(ctx context.Context, path string, m WriteMode) (*Draft, error) {
	return nil, errNotYet
}
func (o *Overlay) Copy(ctx context.Context, from, to string) error   { return errNotYet }
func (o *Overlay) Rename(ctx context.Context, from, to string) error { return errNotYet }
func (o *Overlay) Remove(ctx context.Context, path string) error     { return errNotYet }
func (o *Overlay) RemoveTree(ctx context.Context, path string) error { return errNotYet }
func (o *Overlay) Mkdir(ctx context.Context, path string) error      { return errNotYet }

// Changes are the differences from the input commit, sorted by path.
func (o *Overlay) Changes(ctx context.Context) ([]Change, error) { return nil, errNotYet }

// Staged is what Changes says, with what is needed to publish it.
func (o *Overlay) Staged(ctx context.Context) ([]Staged, error) { return nil, errNotYet }

// Usage is what was taken from the store so far.
func (o *Overlay) Usage() Usage { return Usage{} }

// Unnameable counts the objects left out of the view because the file API cannot name them.
func (o *Overlay) Unnameable() int { return 0 }

// Close ends read-ahead; the files opened stay open.
func (o *Overlay) Close() error { return nil }
