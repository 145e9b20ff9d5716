package attempts

// The sweep: what attempts of dead processes left, here and on the server.

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

// SweepOptions are what a sweep may be told.
type SweepOptions struct {
	// KeepFor is how long the folders that were closed with KeepFiles stay.
	KeepFor time.Duration

	// DropBranch removes one branch that a dead attempt recorded, on the server of
	// the root; one that is not there is no error. nil: records that name branches
	// stay for a sweep that can reach the server. It is asked for nothing but
	// branches that perago makes, on the server that the record names.
	DropBranch func(ctx context.Context, repo, branch string) error
}

// Swept is what a sweep removed.
type Swept struct {
	Attempts int   // folders removed
	Branches int   // branches removed
	Left     int   // dead attempts that had to stay: in Err is why
	Err      error // the first complaints, joined; the sweep went on
}

// Sweep removes the folders of attempts that no live process holds, whatever
// their age, and the branches that they recorded. The next sweep does what this
// one could not. The error is for a root that cannot be read at all.
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

// complaintsMax is how many things that went wrong a sweep tells in words.
const complaintsMax = 20

// deadAttempt is a folder without a live process, locked by the sweep.
type deadAttempt struct {
	root *Root
	path string
	lock *flock.Flock
}

// dead takes the locks of all attempts that nobody holds. A folder whose lock
// cannot be had, such as another user's, is a problem of its own and none of the
// others'.
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
			continue // not ours: nothing here makes files
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

// sweep removes one dead attempt, its branches first: the record that names
// them goes last. A folder that is to stay for a look is neither gone nor an error.
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

// mayDrop is nil when a branch of a record may be deleted: it is on the server
// that this sweep speaks to, and has a name that only perago makes, for the task
// of the record.
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

// readRecord reads attempt.json. A folder without one, or with one that is no
// record, had not come far enough to make anything elsewhere: the record is in
// place, whole, before the first branch is made.
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
