package workspace

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"perago/workspace/glob"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// Errors that callers branch on. They are wrapped in *fs.PathError, as are
// fs.ErrNotExist and fs.ErrExist, which mean the same as in package os.
var (
	ErrReadOnly = errors.New("the workspace is read-only")
	ErrReserved = errors.New("the name is reserved for perago and the server")
	ErrBound    = errors.New("a bound of the attempt is passed") // a *BoundError

)

// Info describes one file or folder of a workspace.
type Info struct {
	Path     string // relative to the workspace, "/" between segments; "" is the root
	Folder   bool
	Size     int64  // bytes; 0 for a folder
	Checksum string // as the store gives it; "" for a folder, a file written in this attempt, or a store that has none
}

// Change is one file that the attempt added, modified or deleted.
type Change struct {
	Op   storage.Op `json:"op"`
	Path string     `json:"path"` // relative to the workspace
	Size int64      `json:"size"` // bytes of the new content; for Deleted, of the old
}

// Usage is what an attempt read of its input commit.
type Usage struct {
	ObjectsListed  int // distinct lower objects that were listed or found by their path
	ListTime       time.Duration
	ListCached     bool  // every listing came from the cache
	ObjectsRead    int   // distinct lower objects whose content was opened
	BytesRead      int64 // their sizes, in bytes
	ObjectsHit     int   // of ObjectsRead, those that were on this machine already: cached, or fetched ahead
	ObjectsFetched int   // objects fetched from the store, read-ahead included: may exceed ObjectsRead
	BytesFetched   int64
}

// WriteMode says what a Draft starts from.
type WriteMode int

const (
	Replace WriteMode = iota // an empty file
	Append                   // the present content, when there is one
)

// Draft is a file being written: it is not visible until Commit, which replaces the
// content at Path in one step. It is written through File, which may be handed to
// another process. Exactly one of Commit and Discard ends it; both close File.
type Draft struct {
	Path    string
	File    *os.File // open for writing, positioned at its end
	commit  func(context.Context) (size int64, err error)
	discard func()
}

// NewDraft is for implementations of the file system of one attempt. commit and
// discard close file.
func NewDraft(path string, file *os.File, commit func(context.Context) (int64, error), discard func()) *Draft {
	return &Draft{Path: path, File: file, commit: commit, discard: discard}
}

// Commit makes the content visible at Path and returns its size in bytes.
func (d *Draft) Commit(ctx context.Context) (int64, error) { return d.commit(ctx) }

// Discard deletes what was written.
func (d *Draft) Discard() { d.discard() }

// pathError wraps err as package os does; nil stays nil.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// Repeats says whether an error of the file API follows from the commit and from
// what the body asked for, so that another attempt on the same commit gets it
// again. Any other error may be one of a server, the network or the disk.
func Repeats(err error) bool {
	for _, known := range []error{fs.ErrNotExist, fs.ErrExist, ErrReadOnly, ErrReserved, storage.ErrIsFolder, storage.ErrNotFolder, storage.ErrUnnameable, ErrBound,
		syscall.ENAMETOOLONG, syscall.EFBIG, syscall.ELOOP, syscall.ENOTDIR, syscall.EISDIR} {
		if errors.Is(err, known) {
			return true
		}
	}
	var name *paths.Error
	var pattern *glob.Error
	return errors.As(err, &name) || errors.As(err, &pattern)
}
