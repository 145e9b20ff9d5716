package starlib

import (
	"context"
	"os"

	"perago/workspace"
)

// Files is the workspace of one attempt as its body sees it: *workspace.Overlay
// in this process, a proxy of it in the child of engine/isolate. Paths are
// relative to the workspace, already checked by workspace.CheckPath, "" is the
// root. Errors are *fs.PathError around fs.ErrNotExist, fs.ErrExist or one of
// the workspace package's. All methods may be called from several goroutines.
type Files interface {
	// Stat of a file or a folder. fs.ErrNotExist.
	Stat(ctx context.Context, path string) (workspace.Info, error)
	// ReadDir lists the files and folders directly in a folder, sorted by bytes.
	ReadDir(ctx context.Context, path string) ([]workspace.Info, error)
	// Glob returns the files under dir that match pattern (which is relative to
	// dir), sorted by bytes, as paths relative to the workspace.
	Glob(ctx context.Context, dir, pattern string) ([]string, error)
	// Open opens the content of a file for reading; the caller closes it. The
	// file is a plain local one: content that is elsewhere is fetched first.
	Open(ctx context.Context, path string) (*os.File, error)
	// Create starts a new content for path, parents included.
	Create(ctx context.Context, path string, mode workspace.WriteMode) (*workspace.Draft, error)
	Copy(ctx context.Context, from, to string) error
	Rename(ctx context.Context, from, to string) error
	Remove(ctx context.Context, path string) error
	RemoveTree(ctx context.Context, path string) error
	Mkdir(ctx context.Context, path string) error
}
