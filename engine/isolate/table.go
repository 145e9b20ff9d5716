package isolate

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"perago/engine"
	"perago/engine/module"
	"perago/panics"
	"perago/starlib"
	"perago/workspace"
	"perago/workspace/paths"
)

const (
	tableArgument = "__table"

	// maxTableFiles bounds the files of one statement: its engine has them all
	// open, and as many more while it reads.
	maxTableFiles = 4000
	// maxTables bounds the engines that one body has at once.
	maxTables = 4
	// maxParts bounds the files that one statement writes.
	maxParts = 10_000
	// opensAtOnce is how many of a statement's files are fetched at once.
	opensAtOnce = 16

	// tableMemory is what a statement may take where no limit is set, in bytes.
	tableMemory = 1 << 30
	// tableScratch is the same of what it may spill to disk.
	tableScratch = 10 << 30
)

// HasTables says whether this program can start engines of statements: its Main
// was told of them.
func HasTables() bool {
	roles := guarded.Load()
	return roles != nil && slices.ContainsFunc(*roles, func(r Role) bool { return r.Argument == tableArgument })
}

// asksTables says whether a module may ask for an engine.
func asksTables(m *module.Module) bool {
	for _, source := range m.Sources {
		if bytes.Contains(source, []byte("sql(")) {
			return true
		}
	}
	return false
}

// tables readies engines for the statements of one body.
type tables struct {
	processes *Processes
	files     starlib.Files
	limits    engine.Limits
}

// Tables are the engines of statements for one body, each a process of its own
// and held to the limits of the body; nil when this program has none.
func (p *Processes) Tables(call engine.Call) starlib.Tables {
	if !HasTables() {
		return nil
	}
	return &tables{p, call.Files, call.Limits}
}

// TablesFor is Tables, for what is done around a body.
func (p *Processes) TablesFor(call engine.Call) starlib.Tables { return p.Tables(call) }

// readyTable starts an engine that waits, unless one does.
func (p *Processes) readyTable() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.table != nil {
		return
	}
	if child, err := p.startTable(); err == nil { // else the statement tries again, and reports it
		p.table = child
	}
}

// startTable starts an engine, which is prepared in the background. p.mu is held.
func (p *Processes) startTable() (*process, error) {
	child, err := p.spawn(tableArgument, "statement")
	if err != nil {
		return nil, err
	}
	panics.Go(&p.busy, p.failed, func() { child.prepare(p.ctx, nil) })
	return child, nil
}

// takeTable is an engine that is ready for a statement.
func (p *Processes) takeTable(ctx context.Context) (*process, error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, ErrClosed
		}
		child, waited := p.table, p.table != nil
		p.table = nil
		var err error
		if !waited {
			child, err = p.startTable()
		}
		p.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-child.prepared:
		case <-ctx.Done():
			(&spare{process: child}).drop()
			return nil, context.Cause(ctx)
		}
		if child.err == nil && child.alive() {
			return child, nil
		}
		err = child.err
		(&spare{process: child}).drop()
		if !waited {
			return nil, err
		}
		// One that waited may have been ended by anybody since: another one.
	}
}

// tableSession is one statement in its engine.
type tableSession struct {
	*os.File // the way to the engine, which the body talks over

	of    *tables
	need  starlib.TableNeed
	child *process
	spill string           // folder for what does not fit memory, and for parts
	draft *workspace.Draft // of a file that is written; nil when there is none
	stop  func() bool      // ends the watch on ctx

	locked []Layer // that hold it in beyond those of the process
	once   sync.Once
}

// Ready implements starlib.Tables.
func (t *tables) Ready(ctx context.Context, need starlib.TableNeed) (starlib.TableSession, error) {
	if n := len(need.Files); n > maxTableFiles {
		return nil, fmt.Errorf("a statement of %d files: at most %d can be open at once", n, maxTableFiles)
	}
	child, err := t.processes.takeTable(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the engine of statements: %w", err)
	}
	t.processes.inBackground(t.processes.readyTable)
	s := &tableSession{of: t, need: need, child: child}
	// A child that is killed closes its socket, which ends whatever waits for it.
	s.stop = context.AfterFunc(ctx, s.interrupt)
	if err := s.prepare(ctx); err != nil {
		s.Drop()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return s, nil
}

// interrupt asks the engine to stop, and ends it soon after.
func (s *tableSession) interrupt() {
	s.child.conn.sock.SetWriteDeadline(time.Now().Add(s.of.processes.grace))
	s.child.conn.send(kindCancel, cancelMessage{}, nil)
	select {
	case <-s.child.gone:
	case <-time.After(s.of.processes.grace):
		s.child.proc.Kill()
	}
}

// prepare hands the engine what its statement may have, and makes the way to it.
func (s *tableSession) prepare(ctx context.Context) (err error) {
	if s.spill, err = scratchFolder(s.of.files); err != nil {
		return err
	}
	limits := s.of.limits
	if limits.Memory == 0 {
		limits.Memory = tableMemory
	}
	if limits.Scratch == 0 {
		limits.Scratch = tableScratch
	}
	if err := s.child.bound(limits); err != nil {
		return err
	}
	m := tableMessage{Memory: limits.Memory, Scratch: limits.Scratch, Threads: limits.Threads, Spill: s.spill, Named: s.need.Named, Hands: len(s.need.Files) + 1}
	if s.need.Output != "" {
		m.Hands++
	}
	if s.need.Folder {
		m.Hands--
		m.Folder = filepath.Join(s.spill, "parts")
		if err := os.Mkdir(m.Folder, 0o700); err != nil {
			return fmt.Errorf("folder for what is written: %w", paths.Reason(err))
		}
	}
	if err := s.child.conn.send(kindTable, m, nil); err != nil {
		return s.why(err)
	}
	if err := s.handFiles(ctx); err != nil {
		return err
	}
	if s.need.Output != "" && !s.need.Folder {
		if s.draft, err = s.of.files.Create(ctx, s.need.Output, workspace.Replace); err != nil {
			return err
		}
		if err := s.hand(handMessage{What: handOutput}, s.draft.File); err != nil {
			return err
		}
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	s.File = ours
	if err := s.hand(handMessage{What: handBody}, theirs); err != nil {
		return err
	}
	var locked readyMessage
	if err := s.child.expect(kindLocked, &locked); err != nil {
		return s.why(err)
	}
	if len(locked.Layers) > 100 {
		return fmt.Errorf("%w: %d layers", errProtocol, len(locked.Layers))
	}
	s.locked = locked.Layers
	if missing := Missing(locked.Layers); s.of.processes.required && len(missing) > 0 {
		return &MissingError{missing}
	}
	return nil
}

// handFiles opens the files of the statement, some at once, and hands them over
// in their order.
func (s *tableSession) handFiles(ctx context.Context) error {
	if len(s.need.Files) > 0 && s.of.files == nil {
		return errors.New("the task has no workspace")
	}
	for group := range slices.Chunk(s.need.Files, opensAtOnce) {
		opened, errs := make([]*os.File, len(group)), make([]error, len(group))
		var opening sync.WaitGroup
		for i, path := range group {
			panics.Go(&opening, func(err error) { errs[i] = err }, func() { opened[i], errs[i] = s.of.files.Open(ctx, path) })
		}
		opening.Wait()
		err := errors.Join(errs...)
		for i, file := range opened {
			if file == nil {
				continue
			}
			if err == nil {
				err = s.hand(handMessage{What: handFile, Path: text(group[i])}, file)
			}
			file.Close()
		}
		if err != nil {
			return cmp.Or(cmp.Or(errs...), err)
		}
	}
	return nil
}

func (s *tableSession) hand(m handMessage, file *os.File) error {
	if err := s.child.conn.send(kindHand, m, file); err != nil {
		return s.why(err)
	}
	return nil
}

// scratchFolder makes a folder for what a statement spills.
func scratchFolder(files starlib.Files) (string, error) {
	var dir string
	var err error
	if of, can := files.(interface{ SpillFolder() (string, error) }); can {
		dir, err = of.SpillFolder()
	} else {
		dir, err = os.MkdirTemp("", "perago-table-")
	}
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("folder for what a statement spills: %w", paths.Reason(err))
	}
	return dir, nil
}

// end ends the engine, and whatever it has written stays as it is.
func (s *tableSession) end() {
	s.stop()
	s.child.proc.Kill()
	s.child.reap()
	s.child.note.Close()
	if s.File != nil {
		s.File.Close()
	}
}

// Commit implements starlib.TableSession.
func (s *tableSession) Commit(ctx context.Context) (paths []string, err error) {
	err = errors.New("the statement was ended before")
	s.once.Do(func() {
		defer os.RemoveAll(s.spill)
		s.end()
		switch {
		case s.draft != nil:
			_, err = s.draft.Commit(ctx)
			paths = []string{s.need.Output}
		case s.need.Folder:
			paths, err = s.adopt(ctx)
		default:
			err = nil
		}
	})
	return paths, err
}

// Drop implements starlib.TableSession.
func (s *tableSession) Drop() {
	s.once.Do(func() {
		s.end()
		if s.draft != nil {
			s.draft.Discard()
		}
		if s.spill != "" {
			os.RemoveAll(s.spill)
		}
	})
}

// Died implements starlib.TableSession.
func (s *tableSession) Died(ctx context.Context) error {
	if ctx.Err() == nil {
		select { // it has hung up, so it is gone any moment
		case <-s.child.gone:
		case <-time.After(time.Second):
		}
	}
	err := s.why(io.EOF)
	s.Drop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// TableDeath is an engine that ended without an answer.
type TableDeath = starlib.TableDeath

// why says what became of an engine that does not answer.
func (s *tableSession) why(err error) error {
	select {
	case <-s.child.gone:
	case <-time.After(100 * time.Millisecond):
		return fmt.Errorf("the engine of statements: %w", err)
	}
	stderr := s.child.stderr.String()
	if OutOfMemory(stderr, true) || strings.Contains(stderr, "bad_alloc") {
		return &TableDeath{Memory: true}
	}
	return &TableDeath{How: s.child.howEnded()}
}

// adopt makes the parts that a statement wrote the content of its folder.
func (s *tableSession) adopt(ctx context.Context) (made []string, err error) {
	root := filepath.Join(s.spill, "parts")
	folder := s.need.Output
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return paths.Reason(err)
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%w: a part that is no file", errProtocol)
		}
		if len(made) == maxParts {
			return fmt.Errorf("write %s: more than %d parts", folder, maxParts)
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		made = append(made, folder+"/"+filepath.ToSlash(rel))
		return paths.Check(made[len(made)-1])
	})
	if err != nil {
		return nil, err
	}
	if err := s.of.files.RemoveTree(ctx, folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, path := range made {
		if err := s.adoptPart(ctx, filepath.Join(root, filepath.FromSlash(strings.TrimPrefix(path, folder+"/"))), path); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// adoptPart copies one part to its path; between two plain files the system may
// do it without moving a byte.
func (s *tableSession) adoptPart(ctx context.Context, name, path string) error {
	from, err := os.Open(name)
	if err != nil {
		return paths.Reason(err)
	}
	defer from.Close()
	d, err := s.of.files.Create(ctx, path, workspace.Replace)
	if err != nil {
		return err
	}
	if _, err := io.Copy(d.File, from); err != nil {
		d.Discard()
		return fmt.Errorf("write %s: %w", path, paths.Reason(err))
	}
	os.Remove(name) // the disk is counted once
	_, err = d.Commit(ctx)
	return err
}

// TableLayers starts one engine for a statement of nothing, and says what holds
// it in on this machine.
func TableLayers(ctx context.Context) ([]Layer, error) {
	p := New(Options{Spares: -1})
	defer p.Close()
	session, err := (&tables{processes: p}).Ready(ctx, starlib.TableNeed{})
	if err != nil {
		return nil, err
	}
	defer session.Drop()
	s := session.(*tableSession)
	return append(s.child.layers, s.locked...), nil
}
