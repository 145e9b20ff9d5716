// Package logs is what people read of a worker: its log files, the lines of an
// attempt at the server, and the secrets kept out of both.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"perago/starlib/diag"
)

// Options of Open. nil is the zero value.
type Options struct {
	MaxSize   int64         // bytes of a file before it is set aside; 0 is 100 MB, and a 16th of TotalMax at most
	TotalMax  int64         // bytes of all files under the root, of all workers; the oldest are removed; 0 is 2 GB
	Retention time.Duration // age at which Sweep removes a file; 0 is 30 days
	Level     slog.Leveler  // nil is slog.LevelInfo
	OnLoss    func(Loss)    // called when records begin to be lost, and when that is over; nil: nothing is called
}

// FormatTime, as slog.HandlerOptions.ReplaceAttr, writes `time` as RFC 3339 at UTC+08:00,
// to the millisecond, and makes every text safe to be shown on a terminal.
func FormatTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		at := a.Value.Time().In(time.FixedZone("", 8*60*60))
		return slog.String(slog.TimeKey, at.Format("2006-01-02T15:04:05.000Z07:00"))
	}
	if a.Value.Kind() == slog.KindString { // the escapes of JSON leave C1 and marks of direction as they are
		a.Value = slog.StringValue(diag.PrintableLines(a.Value.String()))
	}
	return a
}

// Handler writes records as JSON, one a line: those with the attribute "task" to
// <root>/<task>/<worker id>.jsonl, the worker's own to <root>/<worker id>.jsonl.
func (l *Files) Handler() slog.Handler {
	return &handler{logs: l, json: l.json("")}
}

// json writes to the file of a task.
func (l *Files) json(task string) slog.Handler {
	return slog.NewJSONHandler(taskWriter{l, path.Join(task, l.worker+".jsonl")},
		&slog.HandlerOptions{Level: l.level, ReplaceAttr: FormatTime})
}

// handler is a JSON handler that moves to another file when a record or its
// attributes name a task. To move it needs what was added to it so far.
type handler struct {
	logs  *Files
	json  slog.Handler
	added []func(slog.Handler) slog.Handler
	group bool // within one, "task" is an attribute of the caller
	task  string
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.json.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if h.task == "" && !h.group {
		for a := range r.Attrs {
			if task, ok := taskOf(a); ok {
				return h.to(task).Handle(ctx, r)
			}
		}
	}
	return h.json.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	next := h.with(func(j slog.Handler) slog.Handler { return j.WithAttrs(attrs) })
	for _, a := range attrs {
		if task, ok := taskOf(a); ok && !h.group {
			next.task = task
			next.json = next.to(task)
		}
	}
	return next
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := h.with(func(j slog.Handler) slog.Handler { return j.WithGroup(name) })
	next.group = true
	return next
}

func (h *handler) with(add func(slog.Handler) slog.Handler) *handler {
	next := *h
	next.json = add(h.json)
	next.added = append(slices.Clip(h.added), add)
	return &next
}

// to is the JSON handler of h on the file of a task.
func (h *handler) to(task string) slog.Handler {
	json := h.logs.json(task)
	for _, add := range h.added {
		json = add(json)
	}
	return json
}

func taskOf(a slog.Attr) (string, bool) {
	return a.Value.String(), a.Key == "task" && a.Value.Kind() == slog.KindString && a.Value.String() != ""
}

// taskWriter appends lines to one file of the log.
type taskWriter struct {
	logs *Files
	name string // relative to the log root
}

var _ io.Writer = taskWriter{}

// Write appends a whole line.
func (w taskWriter) Write(line []byte) (int, error) { return w.logs.append(w.name, line) }

// errClosed is a record that came after Close.
var errClosed = errors.New("the log is closed")

const (
	suffix     = ".jsonl"
	lookEvery  = time.Minute // how often an open file is compared with what has its name now
	defaultMax = 100 << 20   // bytes
	defaultAge = 30 * 24 * time.Hour
	defaultAll = 2 << 30 // bytes
	share      = 16      // the part of all that is kept free by pruning, and of which half is written between two looks
)

// Files are the log files of one worker under a root that workers share. Its
// methods may be called from several goroutines.
type Files struct {
	root      *os.Root
	worker    string
	level     slog.Leveler
	max       int64
	all       int64
	retention time.Duration
	onLoss    func(Loss)

	mu     sync.Mutex
	files  map[string]*openFile // open ones, by name
	closed bool
	err    error // the first that a write met
	grown  int64 // bytes since the root was last compared with its bound
	loss   Loss
}

// Loss says what of a log did not reach its file.
type Loss struct {
	Records int   // since the start
	Err     error // why the last record was lost; nil: it was not
}

// Loss says what was lost so far.
func (l *Files) Loss() Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loss
}

// openFile is an open file of the log.
type openFile struct {
	*os.File
	size   int64
	looked time.Time // when it was last seen under its name
}

// Open opens the log of a worker under dir, which is made when it is
// missing, with mode 0700. Files are made when there is something to write.
func Open(dir, worker string, o *Options) (*Files, error) {
	if o == nil {
		o = &Options{}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("log folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("log folder: %w", err)
	}
	l := &Files{root: root, worker: worker, level: o.Level, max: o.MaxSize, all: o.TotalMax, retention: o.Retention, onLoss: o.OnLoss,
		files: make(map[string]*openFile)}
	if l.max <= 0 {
		l.max = defaultMax
	}
	if l.all <= 0 {
		l.all = defaultAll
	}
	l.max = min(l.max, l.all/share)
	l.grown = l.all // what is there already is looked at with the first record
	if l.retention <= 0 {
		l.retention = defaultAge
	}
	return l, nil
}

// Close closes the files, and returns the first error that writing to them met.
func (l *Files) Close() error {
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

func (l *Files) keep(err error) {
	if l.err == nil {
		l.err = err
	}
}

// append writes a line to a file. When that begins to fail, and when it works
// again, onLoss is called, once.
func (l *Files) append(name string, line []byte) (int, error) {
	n, changed, loss, err := l.write(name, line)
	if changed && l.onLoss != nil {
		l.onLoss(loss)
	}
	return n, err
}

func (l *Files) write(name string, line []byte) (n int, changed bool, loss Loss, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, false, l.loss, errClosed
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
func (l *Files) put(name string, line []byte) (int, error) {
	if l.grown += int64(len(line)); l.grown > l.all/share/2 {
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
func (l *Files) open(name string) (*openFile, error) {
	f := l.files[name]
	if f != nil && time.Since(f.looked) < lookEvery {
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
	f = &openFile{File: file, size: info.Size(), looked: time.Now()}
	l.files[name] = f
	return f, nil
}

func (l *Files) isAt(f *openFile, name string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := l.root.Stat(name)
	return err == nil && os.SameFile(ours, there)
}

// setAside gives a full file the first free number: x.jsonl becomes x.1.jsonl,
// or x.2.jsonl. The lock is held.
func (l *Files) setAside(name string) error {
	f := l.files[name]
	delete(l.files, name)
	if err := f.Close(); err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	stem := strings.TrimSuffix(name, suffix)
	for n := 1; ; n++ {
		numbered := fmt.Sprintf("%s.%d%s", stem, n, suffix)
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
func (l *Files) Sweep() (removed int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.prune()
}

// oldFile is a file that may be removed.
type oldFile struct {
	name    string
	size    int64
	written time.Time
}

// prune is Sweep; the lock is held. It leaves a part of the bound free, so that
// files may grow until the next look.
func (l *Files) prune() (removed int, err error) {
	found, errs := l.list()
	slices.SortFunc(found, func(a, b oldFile) int { return a.written.Compare(b.written) })
	var total int64
	for _, f := range found {
		total += f.size
	}
	before := time.Now().Add(-l.retention)
	for _, f := range found {
		if !f.written.Before(before) && total <= l.all-l.all/share {
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
func (l *Files) list() (found []oldFile, errs []error) {
	walk := fs.WalkDir(l.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // gone meanwhile
				errs = append(errs, err)
			}
			return nil
		}
		if e.IsDir() {
			if strings.Count(name, "/") >= 1 { // no log file is as deep
				return fs.SkipDir
			}
			return nil
		}
		if info, err := e.Info(); err == nil && e.Type().IsRegular() && strings.HasSuffix(name, suffix) {
			found = append(found, oldFile{name, info.Size(), info.ModTime()})
		}
		return nil
	})
	if walk != nil {
		errs = append(errs, walk)
	}
	return found, errs
}
