// Package attempts keeps the folders of attempts on this machine, the locks that
// tell which of them are in use, and the records from which a sweep removes what
// dead processes left.
//
//	<root>/worker.lock              held by the worker of this root
//	<root>/attempts.lock            shared while folders come and go, held while the dead are told from the living
//	<root>/attempts/<attempt>/
//	    files/                      the upper layer
//	    attempt.json                Record
//	    attempt.lock                held by the attempt's process
//
// Every lock is an advisory lock of the operating system: it ends with the
// process that holds it, however that ends, so nothing is ever to be repaired
// by hand.
package attempts

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"perago/workspace/localfile"
)

// ErrLocked: another worker uses the workspace root.
var ErrLocked = errors.New("another worker holds this workspace root")

// RootOptions are options of OpenRoot.
type RootOptions struct {
	// Shared takes no worker lock: for one attempt beside a worker, as `perago run` makes it.
	Shared bool
	// Server is where the branches of its attempts are, as in the configuration. It is
	// in each record, and a sweep deletes branches on no other server. "" for none.
	Server string
}

// Root is the folder that holds the attempts of one worker. It is safe for concurrent use.
type Root struct {
	Path   string
	server string               // see RootOptions
	worker *flock.Flock         // nil when shared
	sync   func(*os.File) error // localfile.Sync, or a test's
}

// Record is the content of attempt.json: which attempt the folder belongs to, and
// what a sweep has to remove elsewhere when the process is gone.
type Record struct {
	Task     TaskKey   `json:"task"`
	Server   string    `json:"server,omitempty"` // that has the branches
	PID      int       `json:"pid"`
	Boot     string    `json:"boot,omitempty"` // the kernel's boot id; "" where there is none
	Started  time.Time `json:"started"`
	Kept     time.Time `json:"kept,omitzero"`      // when a failed attempt ended whose folder is kept to be examined
	Branches []Branch  `json:"branches,omitempty"` // made by this attempt, or about to be, and not known to be gone
}

// Branch names a branch that goes with an attempt.
type Branch struct {
	Repository string `json:"repository"`
	Branch     string `json:"branch"`
}

// KeepMode says what Close leaves of an attempt's folder.
type KeepMode int

const (
	Drop      KeepMode = iota // everything, except a record of branches that could not be removed
	KeepFiles                 // the folder, to be examined; the sweep removes it after SweepOptions.KeepFor
)

// Dir is the folder of one attempt of this process. It is safe for concurrent use.
type Dir struct {
	Path string // absolute

	root   *Root
	mu     sync.Mutex
	record Record
	lock   *flock.Flock
}

// OpenRoot makes dir where it is missing, readable for this user alone, and
// takes its worker lock. The error wraps ErrLocked when another worker has it.
// o may be nil. The caller closes the Root.
func OpenRoot(dir string, o *RootOptions) (*Root, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("workspace root %s: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "attempts"), 0o700); err != nil {
		return nil, fmt.Errorf("workspace root: %w", err)
	}
	r := &Root{Path: dir, sync: localfile.Sync}
	if o != nil {
		r.server = o.Server
	}
	if o != nil && o.Shared {
		return r, nil
	}
	lock, err := takeLock(filepath.Join(dir, "worker.lock"))
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("%w: %s%s", ErrLocked, dir, holder(filepath.Join(dir, "worker.lock")))
	}
	if err != nil {
		return nil, fmt.Errorf("workspace root %s: %w", dir, err)
	}
	// The number is only for the error message of another worker; what counts is the lock.
	if err := os.WriteFile(lock.Path(), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("workspace root %s: %w", dir, err), lock.Close())
	}
	r.worker = lock
	return r, nil
}

// Close releases the worker lock.
func (r *Root) Close() error {
	if r.worker == nil {
		return nil
	}
	return r.worker.Close()
}

// NewAttempt makes the folder of one attempt. Server, PID, Boot and Started are filled in.
func (r *Root) NewAttempt(rec Record) (*Dir, error) {
	rec.Server, rec.PID, rec.Boot, rec.Started = r.server, os.Getpid(), bootID(), time.Now().UTC()

	gate, err := r.shareGate()
	if err != nil {
		return nil, fmt.Errorf("make the attempt's folder: %w", err)
	}
	defer gate.Close()

	name := fmt.Sprintf("%s-%d-%s", fileName(rec.Task.TaskID), rec.Task.Retry, randomName())
	d := &Dir{Path: filepath.Join(r.Path, "attempts", name), root: r, record: rec}
	err = os.Mkdir(d.Path, 0o700)
	if err == nil {
		err = os.Mkdir(d.Files(), 0o700)
	}
	if err == nil {
		d.lock, err = takeLock(filepath.Join(d.Path, lockFile))
	}
	if err == nil {
		err = writeRecord(d.Path, d.record, nil)
	}
	if err != nil {
		if d.lock != nil {
			d.lock.Close()
		}
		os.RemoveAll(d.Path)
		return nil, fmt.Errorf("make the attempt's folder: %w", err)
	}
	return d, nil
}

// Name is the name of the folder; no two attempts have the same.
func (d *Dir) Name() string { return filepath.Base(d.Path) }

// Files is the folder of the upper layer.
func (d *Dir) Files() string { return filepath.Join(d.Path, "files") }

// RecordBranch records branches of this attempt. It is called before they are made.
func (d *Dir) RecordBranch(repo string, branches ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, branch := range branches {
		d.record.Branches = append(d.record.Branches, Branch{Repository: repo, Branch: branch})
	}
	// The branch is not lost when the machine loses power, so its name must not be.
	if err := writeRecord(d.Path, d.record, d.root.sync); err != nil {
		return fmt.Errorf("record branch %s: %w", strings.Join(branches, ", "), err)
	}
	return nil
}

// ForgetBranch removes a branch that was deleted from the record. A branch that is in
// the record when the attempt is closed is deleted by the sweep.
func (d *Dir) ForgetBranch(repo, branch string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.record.Branches[:0:0]
	for _, b := range d.record.Branches {
		if b.Repository != repo || b.Branch != branch {
			kept = append(kept, b)
		}
	}
	d.record.Branches = kept
	if err := writeRecord(d.Path, d.record, nil); err != nil {
		return fmt.Errorf("record branch %s: %w", branch, err)
	}
	return nil
}

// Close removes the folder and releases its lock. What it cannot remove is left to
// the sweep.
func (d *Dir) Close(keep KeepMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.lock.Close() // last: until then no sweep touches the folder
	switch {
	case keep == KeepFiles:
		d.record.Kept = time.Now().UTC()
		if err := writeRecord(d.Path, d.record, nil); err != nil {
			return fmt.Errorf("keep the attempt's folder: %w", err)
		}
		return nil
	case len(d.record.Branches) > 0:
		if err := os.RemoveAll(d.Files()); err != nil {
			return fmt.Errorf("remove the attempt's files: %w", err)
		}
		return nil
	}
	gate, err := d.root.shareGate()
	if err != nil {
		return fmt.Errorf("remove the attempt's folder: %w", err)
	}
	defer gate.Close()
	if err := os.RemoveAll(d.Path); err != nil {
		return fmt.Errorf("remove the attempt's folder: %w", err)
	}
	return nil
}

// shareGate takes the shared lock that is held while a folder is made or removed. The
// sweep holds the exclusive one while it looks for dead attempts, so that it never
// sees a folder that is half made or half removed.
func (r *Root) shareGate() (*flock.Flock, error) {
	gate := flock.New(r.gatePath(), flock.SetPermissions(0o600))
	if err := gate.RLock(); err != nil {
		return nil, err
	}
	return gate, nil
}

func (r *Root) gatePath() string { return filepath.Join(r.Path, "attempts.lock") }

const (
	lockFile   = "attempt.lock"
	recordFile = "attempt.json"
)

// errHeld: the lock is held by another process, or elsewhere in this one.
var errHeld = errors.New("the lock is held")

// takeLock takes the advisory lock on a file, which it makes, without waiting.
func takeLock(path string) (*flock.Flock, error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err == nil && !ok {
		err = errHeld
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// holder names the process that holds a lock, if the file has its number.
func holder(path string) string {
	pid, err := os.ReadFile(path)
	if err != nil || len(pid) == 0 || len(pid) > 20 {
		return ""
	}
	return " (process " + strings.TrimSpace(string(pid)) + ")"
}

// writeRecord replaces attempt.json in one step. With sync (see localfile.Sync) a
// loss of power keeps it: the content is on the disk before the file is renamed, and
// then the names of the file and of its folder are.
func writeRecord(dir string, rec Record, sync func(*os.File) error) error {
	data, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, recordFile+".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err == nil && sync != nil {
		err = sync(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, recordFile)); err != nil || sync == nil {
		return err
	}
	for _, folder := range []string{dir, filepath.Dir(dir)} {
		f, err := os.Open(folder)
		if err != nil {
			return err
		}
		if err := errors.Join(sync(f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// fileName makes a part of a file name from an id of the queue.
func fileName(id string) string {
	name := strings.Map(func(c rune) rune {
		if c < 0x80 && (c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return c
		}
		return '_'
	}, id)
	if len(name) > 64 {
		name = name[:64]
	}
	if name == "" {
		return "run"
	}
	return name
}

// bootID is an id that the machine gets at each start.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // not Linux: the record has none
	}
	return strings.TrimSpace(string(id))
}
