//go:build cgo

package tables

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"perago/engine/isolate"
	"perago/starlib/statement"
)

// Engine is the engine of one process: an isolate.TableEngine. It answers one
// statement.
type Engine struct {
	db  *db
	job isolate.TableJob
}

// New makes an engine; nil where perago was built without cgo, and so without
// tables.
func New() isolate.TableEngine { return &Engine{} }

// Version is that of DuckDB, "" where there is none.
func Version() string { return libraryVersion() }

// Open opens the database, while the process may still open files.
func (e *Engine) Open() (err error) {
	e.db, err = openDB()
	return err
}

// Ready sets what the statement is held to. After it nothing can be set.
func (e *Engine) Ready(job isolate.TableJob) error {
	e.job = job
	settings := [][2]string{
		{"threads", fmt.Sprint(max(job.Threads, 1))},
		{"memory_limit", literal(fmt.Sprintf("%dB", job.Memory))},
		{"temp_directory", literal(job.Spill)},
		{"max_temp_directory_size", literal(fmt.Sprintf("%dB", job.Scratch))},
		{"TimeZone", literal("UTC")},
		{"errors_as_json", "true"},
		{"parquet_metadata_cache", "true"},
		{"allowed_paths", list(job.Paths)},
		{"allowed_directories", list(job.Folders)},
		{"enable_external_access", "false"},
		{"lock_configuration", "true"},
	}
	for _, s := range settings {
		if err := e.db.exec("SET " + s[0] + " = " + s[1]); err != nil {
			return fmt.Errorf("set %s: %w", s[0], err)
		}
	}
	return nil
}

// Serve takes one statement from the body and answers it. When ctx ends, it ends.
// The error is of the connection; what is wrong with the statement goes to the body.
func (e *Engine) Serve(ctx context.Context, body io.ReadWriter) error {
	defer e.db.close()
	stop := context.AfterFunc(ctx, e.db.interrupt)
	defer stop()
	s := &session{db: e.db, job: e.job}
	in := bufio.NewReaderSize(body, 64<<10)
	if err := s.receive(in); err != nil {
		return err
	}
	done, f := s.run(body)
	if errors.Is(context.Cause(ctx), context.Canceled) {
		f = &statement.Failure{Kind: statement.Stopped, Message: "the statement was stopped", Offset: -1}
	}
	if f != nil {
		return statement.WriteJSON(body, statement.KindFailed, f)
	}
	return statement.WriteJSON(body, statement.KindDone, done)
}

// session is one statement.
type session struct {
	db     *db
	job    isolate.TableJob
	asked  statement.Statement
	inline []string // files with the rows of tables of rows, in their order
	paths  *strings.Replacer
}

// receive takes the statement, and the rows that belong to it.
func (s *session) receive(in io.Reader) error {
	kind, payload, err := statement.Read(in)
	if err != nil {
		return err
	}
	if kind != statement.KindStatement || len(payload) > statement.MaxStatement {
		return fmt.Errorf("%w: a frame of kind %d and %d bytes", statement.ErrBroken, kind, len(payload))
	}
	if err := statement.ReadJSON(payload, &s.asked); err != nil {
		return err
	}
	if len(s.asked.Relations) == 0 {
		return fmt.Errorf("%w: no relation", statement.ErrBroken)
	}
	for _, r := range s.asked.Relations {
		for _, t := range r.Tables {
			if t.Rows {
				if err := s.receiveRows(in); err != nil {
					return err
				}
			}
		}
	}
	s.nameFiles()
	return nil
}

// receiveRows keeps the rows of one table beside what the engine spills.
func (s *session) receiveRows(in io.Reader) error {
	path := filepath.Join(s.job.Spill, fmt.Sprintf("rows%d.json", len(s.inline)))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.New("keep the rows of a list: " + cause(err))
	}
	defer f.Close()
	for {
		kind, payload, err := statement.Read(in)
		switch {
		case err != nil:
			return err
		case kind == statement.KindNext:
			s.inline = append(s.inline, path)
			return f.Close()
		case kind != statement.KindInline:
			return fmt.Errorf("%w: a frame of kind %d among rows", statement.ErrBroken, kind)
		}
		if _, err := f.Write(payload); err != nil {
			return errors.New("keep the rows of a list: " + cause(err))
		}
	}
}

// cause is an error without the path that it is about.
func cause(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err.Error()
}

// nameFiles prepares to put the paths of the workspace in the place of the names
// under which the engine opens files.
func (s *session) nameFiles() {
	var names [][2]string
	add := func(from, to string) {
		if from != "" {
			names = append(names, [2]string{from, to})
		}
	}
	for _, r := range s.asked.Relations {
		for _, t := range r.Tables {
			for _, f := range t.Files {
				if f.Index >= 0 && f.Index < len(s.job.Files) {
					add(s.job.Files[f.Index], f.Path)
					add(s.job.Real[f.Index], f.Path)
				}
			}
		}
	}
	for i, path := range s.inline {
		add(path, fmt.Sprintf("list %d", i+1))
	}
	add(s.job.Output, "the output")
	add(s.job.Spill, "scratch")
	add(s.job.Links, "workspace")
	slices.SortStableFunc(names, func(a, b [2]string) int { return len(b[0]) - len(a[0]) }) // none is the beginning of a later one
	var pairs []string
	for _, n := range names {
		pairs = append(pairs, n[:]...)
	}
	s.paths = strings.NewReplacer(pairs...)
}

// run makes the views and answers.
func (s *session) run(w io.Writer) (*statement.Done, *statement.Failure) {
	if s.asked.Ask == statement.AskParse {
		return s.parse(), nil
	}
	if f := s.build(); f != nil {
		return nil, f
	}
	return s.answer(w)
}

// parse says what the text of each query says.
func (s *session) parse() *statement.Done {
	done := &statement.Done{}
	for i, r := range s.asked.Relations {
		var p statement.Parsed
		in, f := s.db.inspect(r.Query)
		if p.Failure = f; f != nil {
			f.Relation = i
		} else {
			p.Unsure, p.Parameters = in.pivots, in.parameters
			for _, t := range in.tables {
				at := slices.IndexFunc(in.reads, func(m mention) bool { return m.what == t })
				p.Tables = append(p.Tables, statement.Mention{Name: t, Offset: in.reads[at].at})
			}
		}
		done.Parsed = append(done.Parsed, p)
	}
	return done
}
