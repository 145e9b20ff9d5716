package isolate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"perago/starlib"
	"perago/workspace/paths"
)

// checkTable refuses what the child's own code cannot have sent, and takes the
// place of an engine.
func (s *server) checkTable(m callMessage) error {
	if s.tables == nil {
		return fmt.Errorf("%w: a statement without an engine", errProtocol)
	}
	if m.Op == opTableEnd {
		switch string(m.Other) {
		case tableCommit, tableDrop, tableDied:
			return nil
		}
		return fmt.Errorf("%w: end %.20q of a statement", errProtocol, string(m.Other))
	}
	if m.Need == nil || len(m.Need.Files) > maxTableFiles+1 || m.Need.Folder && m.Need.Output == "" {
		return fmt.Errorf("%w: a statement of nothing", errProtocol)
	}
	var errs []error
	for _, path := range m.Need.Files {
		errs = append(errs, paths.Check(string(path)))
	}
	if m.Need.Output != "" {
		errs = append(errs, paths.Check(string(m.Need.Output)))
	}
	if s.files == nil && len(errs) > 0 {
		return fmt.Errorf("%w: a file request without a workspace", errProtocol)
	}
	if err := errors.Join(errs...); err != nil {
		return checked(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.asked[m.ID]; taken || len(s.asked) > maxTables {
		return fmt.Errorf("%w: %d engines at once", errProtocol, len(s.asked))
	}
	s.asked[m.ID] = nil
	return nil
}

// table readies an engine and sends the way to it.
func (s *server) table(m callMessage) error {
	need := starlib.TableNeed{Named: m.Need.Named, Output: string(m.Need.Output), Folder: m.Need.Folder}
	for _, path := range m.Need.Files {
		need.Files = append(need.Files, string(path))
	}
	session, err := s.tables.Ready(s.ctx, need)
	if err != nil {
		s.mu.Lock()
		delete(s.asked, m.ID)
		s.mu.Unlock()
		return s.reply(replyMessage{ID: m.ID}, err)
	}
	s.mu.Lock()
	s.asked[m.ID] = session
	s.mu.Unlock()
	way := session.(*tableSession).File
	err = s.conn.send(kindReply, replyMessage{ID: m.ID}, way)
	way.Close() // the child's alone: it hears when the engine hangs up
	return err
}

// endTable ends an engine.
func (s *server) endTable(m callMessage) error {
	s.mu.Lock()
	session := s.asked[m.Draft]
	if session != nil {
		delete(s.asked, m.Draft)
	}
	s.mu.Unlock()
	if session == nil {
		return s.reply(replyMessage{ID: m.ID}, errors.New("no such statement"))
	}
	switch string(m.Other) {
	case tableDied:
		return s.reply(replyMessage{ID: m.ID}, session.Died(s.ctx))
	case tableDrop:
		session.Drop()
		return s.reply(replyMessage{ID: m.ID}, nil)
	}
	paths, err := session.Commit(s.ctx)
	return inSteps(paths, func(part []string, more bool) error {
		r := replyMessage{ID: m.ID, More: more}
		for _, p := range part {
			r.Paths = append(r.Paths, text(p))
		}
		return s.reply(r, err)
	})
}

// Ready implements starlib.Tables in the child.
func (p *proxy) Ready(ctx context.Context, need starlib.TableNeed) (starlib.TableSession, error) {
	m := callMessage{Op: opTable, Need: &needMessage{Named: need.Named, Output: text(need.Output), Folder: need.Folder}}
	for _, path := range need.Files {
		m.Need.Files = append(m.Need.Files, text(path))
	}
	if n := len(need.Files); n > maxTableFiles {
		return nil, fmt.Errorf("a statement of %d files: at most %d can be open at once", n, maxTableFiles)
	}
	way, err := p.file(ctx, &m)
	if err != nil {
		return nil, err
	}
	return &tableProxy{File: way, proxy: p, id: m.ID, output: need.Output}, nil
}

// tableProxy is a TableSession in the child.
type tableProxy struct {
	*os.File
	proxy  *proxy
	id     uint64
	output string
	ended  bool
}

// end tells the worker what is to become of the engine.
func (t *tableProxy) end(ctx context.Context, how string) (paths []string, err error) {
	if t.ended {
		return nil, errors.New("the statement was ended before")
	}
	t.ended = true
	t.File.Close()
	if t.output != "" {
		t.proxy.changed(ctx, t.output)
	}
	err = t.proxy.call(ctx, callMessage{Op: opTableEnd, Draft: t.id, Other: text(how)}, func(a reply) {
		a.close()
		for _, path := range a.Paths {
			paths = append(paths, string(path))
		}
	})
	return paths, err
}

// Commit implements starlib.TableSession.
func (t *tableProxy) Commit(ctx context.Context) ([]string, error) { return t.end(ctx, tableCommit) }

// Drop implements starlib.TableSession. It waits, so that the next statement
// finds the place of this one.
func (t *tableProxy) Drop() { t.end(context.Background(), tableDrop) }

// Died implements starlib.TableSession.
func (t *tableProxy) Died(ctx context.Context) error {
	_, err := t.end(ctx, tableDied)
	var far *remoteError
	if errors.As(err, &far) {
		if how, is := strings.CutPrefix(far.text, starlib.TableDeathPrefix); is {
			return &starlib.TableDeath{How: how, Memory: how == ""}
		}
	}
	return err
}
