// Package storage defines the interfaces of a versioned store, and the types and
// errors that its adapters share. An adapter implements those that its store can do.
package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"time"
)

// Object is one file of a commit.
type Object struct {
	Path     string // from the root of the repository, exactly as the store gives it
	Size     int64  // bytes
	Checksum string // as the store gives it; "" when it has none
	Hashed   bool   // Checksum is the hex MD5 of the content
	Physical string // where the store keeps the bytes; "" when it does not say

	// Unusable says why an object cannot be a file of a workspace, as in "is a symbolic
	// link that leads out of the folder"; "" when it can. Such an object is not shown,
	// and is never changed.
	Unusable string
}

// Reader reads commits.
type Reader interface {
	// List yields the objects of a commit whose path starts with prefix (a plain
	// string prefix, "" for all), sorted by bytes. It stops at the first error.
	// Errors: ErrUnknownRepository, ErrUnknownCommit, or the store's.
	List(ctx context.Context, repo, commit, prefix string) iter.Seq2[Object, error]

	// Open streams one object. fs.ErrNotExist when the commit has no such path.
	Open(ctx context.Context, repo, commit, path string) (io.ReadCloser, error)
}

// NotMeasured is the Size of an object that was listed without it: Probe returns it.
const NotMeasured = -1

// Prober is a Reader that can look up one path without listing its folder. Its
// results agree with List.
type Prober interface {
	Probe(ctx context.Context, repo, commit, path string) (Probed, error)
}

// Probed is what a commit has at one path.
type Probed struct {
	File   bool
	Object Object // when File
	Below  string // some object below path + "/" that is not Unusable; "" when there is none
}

// LocalOpener is a Reader whose objects are plain files of this machine that
// anyone may change at any time: they are opened in place, nothing of them is
// cached, and a listing is used for one attempt only. It is a Prober too, and its
// List may leave sizes NotMeasured.
type LocalOpener interface {
	Prober
	// OpenLocal opens one object for reading. fs.ErrNotExist.
	OpenLocal(ctx context.Context, repo, commit, path string) (*os.File, error)
}

// Commit is one commit of a repository.
type Commit struct {
	ID       string
	Parents  []string // the destination's old head first
	Tree     string   // equal for two commits that hold the same objects; "" when the store does not say
	Message  string
	Metadata map[string]string
	Created  time.Time
}

// Writer changes the uncommitted state of a branch.
type Writer interface {
	// Put uploads size bytes of body to path. body is read from its start, and
	// from its start again when the upload is repeated.
	Put(ctx context.Context, repo, branch, path string, body Content) (Object, error)
	// Remove deletes the paths; a path that does not exist is no error. A branch
	// that does not exist need not be one either: lakeFS does not say.
	Remove(ctx context.Context, repo, branch string, paths []string) error
	// Copy makes an object from one that a commit has, without moving its
	// bytes through this process.
	Copy(ctx context.Context, repo, branch string, c CopyRequest) error
}

// Content is what Put uploads: it can be read from its start again.
type Content struct {
	Size int64
	Open func() (io.ReadSeekCloser, error)
}

// StringContent is the Content of a text that is in memory.
func StringContent(s string) Content {
	return Content{Size: int64(len(s)), Open: func() (io.ReadSeekCloser, error) {
		return nopCloser{bytes.NewReader([]byte(s))}, nil
	}}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// CopyRequest names the source and the target of a Copy.
type CopyRequest struct {
	Commit string // the commit that holds From
	From   string
	To     string
}

// Brancher makes and drops branches.
type Brancher interface {
	// CreateBranch makes branch at commit. ErrBranchExists, ErrUnknownCommit,
	// ErrUnknownRepository, ErrProtected, *RefusedError; any other error means that the answer
	// is not known. It is never repeated by a store.
	CreateBranch(ctx context.Context, repo, branch, commit string) error
	// DeleteBranch drops a branch; one that is not there is no error.
	DeleteBranch(ctx context.Context, repo, branch string) error
	// Branches yields the names that start with prefix.
	Branches(ctx context.Context, repo, prefix string) iter.Seq2[string, error]
	// DefaultBranch is the one that a repository is made with. ErrUnknownRepository.
	DefaultBranch(ctx context.Context, repo string) (string, error)
}

// Committer reads and makes commits.
type Committer interface {
	// Head is the commit a branch points at. ErrUnknownRepository, ErrUnknownBranch.
	Head(ctx context.Context, repo, branch string) (string, error)
	// Lookup reads one commit by its id; a name of a branch is not one. ErrUnknownCommit.
	Lookup(ctx context.Context, repo, commit string) (Commit, error)
	// FirstParents yields a commit, its first parent, that one's first parent
	// and so on, to the first commit of the repository. It stops at the first error.
	FirstParents(ctx context.Context, repo, commit string) iter.Seq2[Commit, error]
	// Diff yields the paths in which two commits differ, sorted by bytes. It stops
	// at the first error. ErrUnknownRepository, ErrUnknownCommit, or the store's.
	Diff(ctx context.Context, repo, from, to string) iter.Seq2[Difference, error]
	// LastChange is the newest commit that changed an object, among commit and all
	// that it stands on. Merges do not count: it is the commit that was merged.
	// ErrUnknownCommit, ErrUnknownRepository; fs.ErrNotExist when none ever had it.
	LastChange(ctx context.Context, repo, commit, path string) (Commit, error)
	// Uncommitted returns at most max paths that are uncommitted on branch.
	Uncommitted(ctx context.Context, repo, branch string, max int) ([]string, error)
	// CommitBranch commits what is uncommitted on branch. ErrNoChanges,
	// *RefusedError, ErrUnknownBranch, ErrProtected; any other error means that
	// the answer is not known.
	CommitBranch(ctx context.Context, repo, branch, message string, metadata map[string]string) (Commit, error)
}

// Historian finds where an object comes from.
type Historian interface {
	LastChange(ctx context.Context, repo, commit, path string) (Commit, error)
}

// Difference is one path in which two commits differ.
type Difference struct {
	Path     string
	Op       Op
	Size     int64  // bytes of the newer content; 0 for Deleted
	Checksum string // of the newer content; "" for Deleted, and where the store does not say
}

// Mover merges one branch into another.
type Mover interface {
	// Merge merges source into target, not squashed, without a strategy, not
	// forced, and returns the id of the merge commit. Its errors wrap one of
	// ErrRefused, ErrConflict, ErrNoChanges, ErrDirty, ErrBusy, ErrUnknownBranch,
	// ErrProtected; any other error means that the answer is not known.
	Merge(ctx context.Context, repo string, m Merge) (string, error)
}

// Merge is one merge request.
type Merge struct {
	Source   string // a branch, by name
	Target   string
	Message  string
	Metadata map[string]string
}

// Store is a versioned store that can be published to. Its errors name the operation
// and what it was done to. Packages memory and lakefs implement it; package storetest
// tests that both behave the same.
type Store interface {
	Reader
	Writer
	Brancher
	Committer
	Mover
}

// Errors of a store that callers branch on. After ErrUnknownRepository and
// ErrUnknownCommit a retry fails in the same way.
var (
	ErrUnknownRepository = errors.New("no such repository")
	ErrUnknownCommit     = errors.New("no such commit")
	ErrUnknownBranch     = errors.New("no such branch")
	ErrBranchExists      = errors.New("the branch exists")
	ErrNoChanges         = errors.New("no changes")
	ErrRefused           = errors.New("refused by a hook") // 412; *RefusedError has the text
	ErrConflict          = errors.New("conflict")          // 409
	ErrDirty             = errors.New("the branch has uncommitted changes")
	ErrBusy              = errors.New("the server is busy")   // 429, 5xx: it may be repeated
	ErrUnreachable       = errors.New("no whole answer came") // the wrapped error says why
	ErrProtected         = errors.New("the branch is protected")
)

// RefusedError is a merge that a hook of the repository refused.
type RefusedError struct {
	Hook string // what the hook said, whole
}

func (e *RefusedError) Error() string { return "refused by a hook: " + e.Hook }

func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// Errors about one name, which come wrapped in *fs.PathError.
var (
	ErrIsFolder   = errors.New("is a folder")
	ErrNotFolder  = errors.New("is a file, not a folder")
	ErrUnnameable = errors.New("the store holds a name here that the file API cannot give")
)

// Op is the kind of a change to a path.
type Op string

const (
	Added    Op = "A"
	Modified Op = "M"
	Deleted  Op = "D"
)

// Staged is one path that the attempt added, modified or deleted.
type Staged struct {
	Path string // in the repository, prefix included
	Op   Op
	Size int64                             // bytes; 0 for Deleted
	Open func() (io.ReadSeekCloser, error) // the new content; nil for Deleted, and when From is set
	From string                            // not "": the content is that of this object (its path in the repository) of FromCommit
	// FromCommit is "" for the input commit.
	FromCommit string
}
