package attempts

// The sweep removes what attempts of dead processes left, here and on the server.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"perago/workspace/storage"
)

// SweepOptions are options of Sweep.
type SweepOptions struct {
	// KeepFor is how long folders that were closed with KeepFiles are kept.
	KeepFor time.Duration

	// DropBranch deletes one branch that a dead attempt recorded, on the server of the
	// root; a branch that does not exist is no error. It is called only for branches
	// with a name that perago gives, and only if the record has that server. nil:
	// records with branches are left to a sweep that can reach the server.
	DropBranch func(ctx context.Context, repo, branch string) error
}

// Swept is what a sweep removed.
type Swept struct {
	Attempts int   // folders removed
	Branches int   // branches removed
	Left     int   // dead attempts that could not be removed; Err says why
	Err      error // the first errors, joined; the sweep went on after each
}

// Sweep removes the folders of attempts that no live process has locked, whatever
// their age, and the branches that they recorded. What it cannot remove, the next
// sweep does. It returns an error only when the root cannot be read at all.
func (r *Root) Sweep(ctx context.Context, o SweepOptions) (Swept, error) {
	dead, problems, err := r.dead()
	if err != nil {
		return Swept{}, fmt.Errorf("sweep %s: %w", r.Path, err)
	}
	swept := Swept{Left: len(problems)}
	for _, d := range dead {
		gone, branches, err := d.sweep(ctx, o)
		swept.Branches += branches
		switch {
		case gone:
			swept.Attempts++
		case err != nil:
			swept.Left++
			problems = append(problems, err)
		}
	}
	if more := len(problems) - complaintsMax; more > 0 {
		problems = append(problems[:complaintsMax], fmt.Errorf("and %d more", more))
	}
	swept.Err = errors.Join(problems...)
	return swept, nil
}

// complaintsMax bounds the errors that a sweep returns; the others are counted.
const complaintsMax = 20

// deadAttempt is a folder without a live process, locked by the sweep.
type deadAttempt struct {
	root *Root
	path string
	lock *flock.Flock
}

// dead takes the locks of all attempts that no process has locked. A folder whose
// lock cannot be opened, such as another user's, is one of the problems.
func (r *Root) dead() (dead []deadAttempt, problems []error, err error) {
	gate := flock.New(r.gatePath(), flock.SetPermissions(0o600))
	if err := gate.Lock(); err != nil {
		return nil, nil, err
	}
	defer gate.Close()
	entries, err := os.ReadDir(filepath.Join(r.Path, "attempts"))
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		path := filepath.Join(r.Path, "attempts", e.Name())
		if !e.IsDir() {
			continue // not perago's, which makes no files here
		}
		lock, err := takeLock(filepath.Join(path, lockFile))
		if errors.Is(err, errHeld) {
			continue
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("sweep: %w", err))
			continue
		}
		dead = append(dead, deadAttempt{r, path, lock})
	}
	return dead, problems, nil
}

// sweep removes one dead attempt, its branches first, since the record has their
// names. A folder that is kept to be examined is neither gone nor an error.
func (d deadAttempt) sweep(ctx context.Context, o SweepOptions) (gone bool, branches int, err error) {
	defer d.lock.Close()
	rec, err := readRecord(d.path)
	if err != nil {
		return false, 0, err
	}
	var left []Branch
	for _, b := range rec.Branches {
		drop := d.mayDrop(rec, b.Branch, o)
		if drop == nil {
			drop = o.DropBranch(ctx, b.Repository, b.Branch)
		}
		if drop != nil && !errors.Is(drop, storage.ErrUnknownRepository) {
			err = errors.Join(err, fmt.Errorf("sweep branch %s of %s: %w", b.Branch, b.Repository, drop))
			left = append(left, b)
			continue
		}
		branches++
	}
	if !rec.Kept.IsZero() && time.Since(rec.Kept) < o.KeepFor || left != nil {
		if len(left) != len(rec.Branches) {
			rec.Branches = left
			err = errors.Join(err, writeRecord(d.path, rec, nil))
		}
		return false, branches, err
	}
	if err := os.RemoveAll(d.path); err != nil {
		return false, branches, fmt.Errorf("sweep: %w", err)
	}
	return true, branches, nil
}

// mayDrop returns nil when a branch of a record may be deleted: it is on the server
// of this sweep, and has a name that only perago gives, for the task of the record.
func (d deadAttempt) mayDrop(rec Record, branch string, o SweepOptions) error {
	switch {
	case o.DropBranch == nil:
		return errors.New("no server is configured")
	case rec.Server != d.root.server:
		return fmt.Errorf("it is on the server %q, this one is %q: sweep with that one configured, or remove %s",
			rec.Server, d.root.server, d.path)
	case !rec.Task.Owns(branch) && !isSelfTestBranch(branch):
		return fmt.Errorf("perago makes no branch of this name: remove %s", d.path)
	}
	return nil
}

// recordMax bounds attempt.json, in bytes: a record names a few branches.
const recordMax = 1 << 20

// readRecord reads attempt.json. It is written whole before the first branch is made,
// so an attempt without one, or with a file that is not a record, made no branch.
func readRecord(dir string) (Record, error) {
	var rec Record
	f, err := os.Open(filepath.Join(dir, recordFile))
	if errors.Is(err, os.ErrNotExist) {
		return rec, nil
	}
	if err != nil {
		return rec, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, recordMax+1))
	if err == nil && len(data) > recordMax {
		err = fmt.Errorf("%s has more than %d bytes", f.Name(), recordMax)
	}
	if err != nil {
		return rec, err
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return Record{}, nil
	}
	return rec, nil
}
