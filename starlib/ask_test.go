package starlib_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"perago/starlib"
	"perago/starlib/starlibtest"
	"perago/starlib/statement"
)

// spokenEngine is an engine that says the same to every statement.
type spokenEngine struct{ bytes.Buffer }

func (e *spokenEngine) Ready(context.Context, starlib.TableNeed) (starlib.TableSession, error) {
	return &spokenSession{bytes.NewReader(e.Bytes())}, nil
}

type spokenSession struct{ *bytes.Reader }

func (spokenSession) Write(b []byte) (int, error)              { return len(b), nil }
func (spokenSession) Close() error                             { return nil }
func (spokenSession) Commit(context.Context) ([]string, error) { return nil, nil }
func (spokenSession) Drop()                                    {}
func (spokenSession) Died(context.Context) error               { return nil }

// What an engine never says ends the statement, before it costs the body anything.
func TestEngineSpeaks(t *testing.T) {
	columns := []statement.Column{{Name: "n", Type: "HUGEINT"}}
	wide := []statement.Column{{Name: strings.Repeat("n", statement.MaxColumns), Type: "HUGEINT"}}
	for name, c := range map[string]struct {
		columns [][]statement.Column
		digits  int
		fine    bool
	}{
		"fine":             {[][]statement.Column{columns}, statement.MaxDigits, true},
		"a long number":    {[][]statement.Column{columns}, statement.MaxDigits + 1, false},
		"columns twice":    {[][]statement.Column{columns, columns}, 1, false},
		"no columns twice": {[][]statement.Column{nil, nil, columns}, 1, false},
		"long columns":     {[][]statement.Column{wide}, 1, false},
	} {
		e := &spokenEngine{}
		for _, columns := range c.columns {
			statement.WriteJSON(e, statement.KindColumns, columns)
		}
		statement.Write(e, statement.KindRows, statement.AppendText(nil, statement.TagBig, []byte(strings.Repeat("1", c.digits))))
		statement.WriteJSON(e, statement.KindDone, statement.Done{})
		r := &starlib.Run{Context: t.Context(), Now: time.Now, Tables: e, Log: func(starlib.Record) {}}
		thread := new(starlark.Thread)
		r.Attach(thread)
		_, err := starlibtest.Exec(thread, "body", `sql("SELECT 1").list()`, starlib.Predeclared())
		if c.fine != (err == nil) || err != nil && !strings.Contains(err.Error(), "protocol of statements broken") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
