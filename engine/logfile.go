package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

const (
	logSuffix     = ".jsonl"
	logLookEvery  = time.Minute // how often an open file is compared with what has its name now
	logMaxDefault = 100 << 20   // bytes
	logAgeDefault = 30 * 24 * time.Hour
)

// Logs are the log files of one worker under a root that workers share. Its
// methods may be called from several goroutines.
type Logs struct {
	root      *os.Root
	worker    string
	level     slog.Leveler
	max       int64
	retention time.Duration

	mu     sync.Mutex
	files  map[string]*logFile // open ones, by name
	closed bool
	err    error // the first that a write met
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
	l := &Logs{root: root, worker: worker, level: o.Level, max: o.MaxSize, retention: o.Retention,
		files: make(map[string]*logFile)}
	if l.max <= 0 {
		l.max = logMaxDefault
	}
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

// append writes a line to a file, which is set aside first when it is full.
func (l *Logs) append(name string, line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, errLogClosed
	}
	f, err := l.open(name)
	if err == nil && f.size > 0 && f.size+int64(len(line)) > l.max {
		l.keep(l.setAside(name)) // where that fails, the file grows
		f, err = l.open(name)
	}
	if err != nil {
		l.keep(err)
		return 0, err
	}
	n, err := f.Write(line)
	f.size += int64(n)
	l.keep(err)
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
// the retention, whoever wrote them, and the folders that this empties. It
// returns how many files went.
func (l *Logs) Sweep() (removed int, err error) {
	before := time.Now().Add(-l.retention)
	var errs []error
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
		info, err := e.Info()
		if err != nil || !e.Type().IsRegular() || !strings.HasSuffix(name, logSuffix) || !info.ModTime().Before(before) {
			return nil
		}
		if err := l.root.Remove(name); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			return nil
		}
		removed++
		if dir := path.Dir(name); dir != "." {
			_ = l.root.Remove(dir) // only an empty one goes
		}
		return nil
	})
	if err := errors.Join(append(errs, walk)...); err != nil {
		return removed, fmt.Errorf("sweep logs: %w", err)
	}
	return removed, nil
}
