package isolate

import (
	"bufio"
	"context"
	"errors"

	"perago/engine"
	"perago/starlib"
	"perago/starlib/statement"
)

// parseMemory bounds an engine that only parses, in bytes.
const parseMemory = 256 << 20

// ParseQueries has an engine look at the text of some queries, without any table.
// Where this program has no engine, there is nothing to look at them: then the
// answer is nil.
func ParseQueries(ctx context.Context, queries []string) ([]statement.Parsed, error) {
	if !HasTables() || len(queries) == 0 {
		return nil, nil
	}
	p := New(Options{Spares: -1})
	defer p.Close()
	session, err := p.Tables(engine.Call{Limits: engine.Limits{Memory: parseMemory}}).Ready(ctx, starlib.TableNeed{})
	if err != nil {
		return nil, err
	}
	defer session.Drop()
	asked := statement.Statement{Ask: statement.AskParse}
	for _, q := range queries {
		asked.Relations = append(asked.Relations, statement.Relation{Query: q})
	}
	if err := statement.WriteJSON(session, statement.KindStatement, asked); err != nil {
		return nil, err
	}
	kind, payload, err := statement.Read(bufio.NewReader(session))
	if err != nil {
		return nil, session.Died(ctx)
	}
	var done statement.Done
	if kind != statement.KindDone {
		return nil, statement.ErrBroken
	}
	if err := statement.ReadJSON(payload, &done); err != nil {
		return nil, err
	}
	if len(done.Parsed) != len(queries) {
		return nil, errors.New("the engine of statements did not look at every query")
	}
	return done.Parsed, nil
}
