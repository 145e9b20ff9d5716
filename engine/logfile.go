package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	logSuffix     = ".jsonl"
	logLookEvery  = time.Minute // how often an open file is compared with what has its name now
	logMaxDefault = 100 << 20   // bytes
	logAgeDefault = 30 * 24 * time.Hour
	logAllDefault = 2 << 30 // bytes
	logShare      = 16      // the part of all that is kept free by pruning, and of which half is written between two looks
)

// Logs are the log files of one worker under a root that workers share. Its
// methods may be called from several goroutines.
type Logs struct {
	root      *os.Root
	worker    string
	level     slog.Leveler
	max       int64
	all       int64
	retention time.Duration
	onLoss    func(LogLoss)

	mu     sync.Mutex
	files  map[string]*logFile // open ones, by name
	closed bool
	err    error // the first that a write met
	grown  int64 // bytes since the root was last held against its bound
	loss   LogLoss
}

// LogLoss says what of a log did not reach its file.
type LogLoss struct {
	Records int   // since the start
	Err     error // why the last record was lost; nil: it was not
}

// Loss says what was lost so far.
func (l *Logs) Loss() LogLoss {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loss
}

// logFile is an open file of the log.
type logFile struct {
	*os.File
	size   int64
	looked time.Time // when it was last seen under its name
}

// OpenLogs opens the log of a worker under dir, which is made when it is
// missing, with mode 0700. Files are made when there is something to write.
func OpenLogs(dir, worker string, o *LogOptions) (*Logs, error) {
	if o == nil {
		o = &LogOptions{}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("log folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("log folder: %w", err)
	}
	l := &Logs{root: root, worker: worker, level: o.Level, max: o.MaxSize, all: o.TotalMax, retention: o.Retention, onLoss: o.OnLoss,
		files: make(map[string]*logFile)}
	if l.max <= 0 {
		l.max = logMaxDefault
	}
	if l.all <= 0 {
		l.all = logAllDefault
	}
	l.max = min(l.max, l.all/logShare)
	l.grown = l.all // what is there already is looked at with the first record
	if l.retention <= 0 {
		l.retention = logAgeDefault
	}
	return l, nil
}

// Close closes the files, and returns the first error that writing to them met.
func (l *Logs) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.err
	}
	l.closed = true
	for _, f := range l.files {
		l.keep(f.Close())
	}
	l.keep(l.root.Close())
	return l.err
}

func (l *Logs) keep(err error) {
	if l.err == nil {
		l.err = err
	}
}

// append writes a line to a file. When that begins to fail, and when it works
// again, onLoss is told, once.
func (l *Logs) append(name string, line []byte) (int, error) {
	n, changed, loss, err := l.write(name, line)
	if changed && l.onLoss != nil {
		l.onLoss(loss)
	}
	return n, err
}

func (l *Logs) write(name string, line []byte) (n int, changed bool, loss LogLoss, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, false, l.loss, errLogClosed
	}
	n, err = l.put(name, line)
	if err != nil {
		l.keep(err)
		l.loss.Records++
	}
	changed = (err == nil) != (l.loss.Err == nil)
	l.loss.Err = err
	return n, changed, l.loss, err
}

// put writes a line to a file, which is set aside first when it is full. The lock
// is held.
func (l *Logs) put(name string, line []byte) (int, error) {
	if l.grown += int64(len(line)); l.grown > l.all/logShare/2 {
		l.grown = 0
		if _, err := l.prune(); err != nil {
			l.keep(err) // the next look tries again
		}
	}
	f, err := l.open(name)
	if err == nil && f.size > 0 && f.size+int64(len(line)) > l.max {
		l.keep(l.setAside(name)) // where that fails, the file grows
		f, err = l.open(name)
	}
	if err != nil {
		return 0, err
	}
	n, err := f.Write(line)
	if err != nil && n > 0 && f.Truncate(f.size) == nil {
		n = 0 // half a line would break the next one
	}
	f.size += int64(n)
	return n, err
}

// open returns the file of that name; the lock is held. A sweep of another
// worker may have taken a file that had not been written to for long, and the
// folder with it: then there is a new one.
func (l *Logs) open(name string) (*logFile, error) {
	f := l.files[name]
	if f != nil && time.Since(f.looked) < logLookEvery {
		return f, nil
	}
	if f != nil {
		f.looked = time.Now()
		if l.isAt(f, name) {
			return f, nil
		}
		delete(l.files, name)
		l.keep(f.Close())
	}
	var file *os.File
	for try := 0; ; try++ {
		err := l.root.MkdirAll(path.Dir(name), 0o700)
		if err == nil {
			file, err = l.root.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		}
		if err == nil {
			break
		}
		if try == 3 || !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("log file: %w", err)
		}
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("log file: %w", err), file.Close())
	}
	f = &logFile{File: file, size: info.Size(), looked: time.Now()}
	l.files[name] = f
	return f, nil
}

func (l *Logs) isAt(f *logFile, name string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := l.root.Stat(name)
	return err == nil && os.SameFile(ours, there)
}

// setAside gives a full file the first free number: x.jsonl becomes x.1.jsonl,
// or x.2.jsonl. The lock is held.
func (l *Logs) setAside(name string) error {
	f := l.files[name]
	delete(l.files, name)
	if err := f.Close(); err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	stem := strings.TrimSuffix(name, logSuffix)
	for n := 1; ; n++ {
		numbered := fmt.Sprintf("%s.%d%s", stem, n, logSuffix)
		switch _, err := l.root.Lstat(numbered); {
		case errors.Is(err, fs.ErrNotExist):
			if err := l.root.Rename(name, numbered); err != nil {
				return fmt.Errorf("log file: %w", err)
			}
			return nil
		case err != nil:
			return fmt.Errorf("log file: %w", err)
		}
	}
}

// Sweep removes the log files under the root that were last written to before
// the retention, whoever wrote them, then the oldest while all of them have more
// bytes than they may, and the folders that this empties. It returns how many
// files went.
func (l *Logs) Sweep() (removed int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.prune()
}

// oldLog is a file that may be removed.
type oldLog struct {
	name    string
	size    int64
	written time.Time
}

// prune is Sweep; the lock is held. It leaves a part of the bound free, so that
// files may grow until the next look.
func (l *Logs) prune() (removed int, err error) {
	found, errs := l.list()
	slices.SortFunc(found, func(a, b oldLog) int { return a.written.Compare(b.written) })
	var total int64
	for _, f := range found {
		total += f.size
	}
	before := time.Now().Add(-l.retention)
	for _, f := range found {
		if !f.written.Before(before) && total <= l.all-l.all/logShare {
			break
		}
		total -= f.size
		if open := l.files[f.name]; open != nil {
			delete(l.files, f.name)
			l.keep(open.Close())
		}
		if err := l.root.Remove(f.name); err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // gone meanwhile
				errs = append(errs, err)
			}
			continue
		}
		removed++
		if dir := path.Dir(f.name); dir != "." {
			_ = l.root.Remove(dir) // only an empty one goes
		}
	}
	if err := errors.Join(errs...); err != nil {
		return removed, fmt.Errorf("sweep logs: %w", err)
	}
	return removed, nil
}

// list returns the log files under the root, of all workers.
func (l *Logs) list() (found []oldLog, errs []error) {
	walk := fs.WalkDir(l.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // gone meanwhile
				errs = append(errs, err)
			}
			return nil
		}
		if e.IsDir() {
			if strings.Count(name, "/") >= 1 { // no file of ours is as deep
				return fs.SkipDir
			}
			return nil
		}
		if info, err := e.Info(); err == nil && e.Type().IsRegular() && strings.HasSuffix(name, logSuffix) {
			found = append(found, oldLog{name, info.Size(), info.ModTime()})
		}
		return nil
	})
	if walk != nil {
		errs = append(errs, walk)
	}
	return found, errs
}
