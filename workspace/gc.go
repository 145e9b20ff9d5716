package workspace

// The sweep: what attempts of dead processes left, here and on the server.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// SweepOptions are what a sweep may be told.
type SweepOptions struct {
	// KeepFor is how long the folders that were closed with KeepFiles stay.
	KeepFor time.Duration

	// DropBranch removes one branch that a dead attempt recorded; one that is
	// not there is no error. nil: records that name branches stay for a sweep
	// that can reach the server.
	DropBranch func(ctx context.Context, repo, branch string) error
}

// Swept is what a sweep removed.
type Swept struct {
	Attempts int   // folders removed
	Branches int   // branches removed
	Left     int   // dead attempts that had to stay: in Err is why
	Err      error // everything that went wrong, joined; the sweep went on
}

// Sweep removes the folders of attempts that no live process holds, whatever
// their age, and the branches that they recorded. The next sweep does what this
// one could not. The error is for a root that cannot be read at all.
func (r *Root) Sweep(ctx context.Context, o SweepOptions) (Swept, error) {
	dead, err := r.dead()
	if err != nil {
		return Swept{}, fmt.Errorf("sweep %s: %w", r.Path, err)
	}
	var swept Swept
	var problems []error
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
	swept.Err = errors.Join(problems...)
	return swept, nil
}

// deadAttempt is a folder without a live process, locked by the sweep.
type deadAttempt struct {
	path string
	lock *flock.Flock
}

// dead takes the locks of all attempts that nobody holds.
func (r *Root) dead() ([]deadAttempt, error) {
	gate := flock.New(r.gatePath(), flock.SetPermissions(0o600))
	if err := gate.Lock(); err != nil {
		return nil, err
	}
	defer gate.Close()
	entries, err := os.ReadDir(filepath.Join(r.Path, "attempts"))
	if err != nil {
		return nil, err
	}
	var dead []deadAttempt
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
			return nil, errors.Join(err, closeAll(dead))
		}
		dead = append(dead, deadAttempt{path, lock})
	}
	return dead, nil
}

func closeAll(dead []deadAttempt) error {
	var err error
	for _, d := range dead {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// sweep removes one dead attempt, its branches first: the record that names
// them goes last. A folder that is to stay for a look is neither gone nor an error.
func (d deadAttempt) sweep(ctx context.Context, o SweepOptions) (gone bool, branches int, err error) {
	defer d.lock.Close()
	rec, err := readRecord(d.path)
	if err != nil {
		return false, 0, err
	}
	var left []RecordBranch
	for _, b := range rec.Branches {
		drop := errNoServer
		if o.DropBranch != nil {
			drop = o.DropBranch(ctx, b.Repository, b.Branch)
		}
		if drop != nil && !errors.Is(drop, ErrUnknownRepository) {
			err = errors.Join(err, fmt.Errorf("sweep branch %s of %s: %w", b.Branch, b.Repository, drop))
			left = append(left, b)
			continue
		}
		branches++
	}
	if !rec.Kept.IsZero() && time.Since(rec.Kept) < o.KeepFor || left != nil {
		if len(left) != len(rec.Branches) {
			rec.Branches = left
			err = errors.Join(err, writeRecord(d.path, rec, lax))
		}
		return false, branches, err
	}
	if err := os.RemoveAll(d.path); err != nil {
		return false, branches, fmt.Errorf("sweep: %w", err)
	}
	return true, branches, nil
}

// errNoServer: this sweep cannot reach the server that has the branches.
var errNoServer = errors.New("no server is configured")

// readRecord reads attempt.json. A folder without one, or with one that is no
// record, had not come far enough to make anything elsewhere: the record is in
// place, whole, before the first branch is made.
func readRecord(dir string) (AttemptRecord, error) {
	var rec AttemptRecord
	data, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, os.ErrNotExist) {
		return rec, nil
	}
	if err != nil {
		return rec, err
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return AttemptRecord{}, nil
	}
	return rec, nil
}
