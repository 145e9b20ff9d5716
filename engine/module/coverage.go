package module

import (
	"fmt"
	"math"
	"sync/atomic"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// The interpreter does not tell which statements it runs. So the tree that is
// compiled for coverage has a call before each statement of a function,
// `(count)(17)`, at the place of that statement. It takes back the steps that it
// costs, so that a limit of steps means the same with it (but for a jump that the
// compiler then places otherwise).

const (
	countName = "(count)" // cannot be written in a task file

	// countSteps is what one such call costs: the function, its argument, the
	// call, and dropping what it returns.
	countSteps = 4

	// MaxStatements is how many statements of one module are counted.
	MaxStatements = 100_000
)

// Statement is where a statement of a function begins, from 1, columns in runes.
type Statement struct{ Line, Column int32 }

// CoveredFile are the statements of one file that are counted, in the order in
// which they stand. The top level is not: it runs as a whole, or the file does
// not load.
type CoveredFile struct {
	Name       string // as it stands in positions
	Statements []Statement
}

// Coverage counts how often the statements of a module ran. It is safe for
// concurrent use.
type Coverage struct {
	Files  []CoveredFile // in the order in which they were read
	total  int           // statements of all of them
	counts []atomic.Uint32
}

// Len is the number of statements of all files together.
func (c *Coverage) Len() int { return len(c.counts) }

// Take returns the counts of all statements, of one file after the other, and
// starts over. A count ends at the largest number of 32 bits.
func (c *Coverage) Take() []uint32 {
	counts := make([]uint32, len(c.counts))
	for i := range counts {
		counts[i] = c.counts[i].Swap(0)
	}
	return counts
}

// Add adds what Take of the same module has returned elsewhere.
func (c *Coverage) Add(counts []uint32) error {
	if len(counts) != len(c.counts) {
		return fmt.Errorf("counts of %d statements, want %d", len(counts), len(c.counts))
	}
	for i, n := range counts {
		c.add(i, n)
	}
	return nil
}

func (c *Coverage) add(i int, n uint32) {
	for {
		old := c.counts[i].Load()
		sum := uint32(min(uint64(old)+uint64(n), math.MaxUint32))
		if sum == old || c.counts[i].CompareAndSwap(old, sum) {
			return
		}
	}
}

// builtin is what the calls in the tree call.
func (c *Coverage) builtin() *starlark.Builtin {
	return starlark.NewBuiltin(countName, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		i, err := starlark.AsInt32(args[0])
		if err != nil {
			return nil, err
		}
		c.add(i, 1)
		thread.Steps -= countSteps
		return starlark.None, nil
	})
}

// instrument puts the calls into a tree that is not yet resolved.
func (c *Coverage) instrument(name string, tree *syntax.File) error {
	s := statements{next: c.total}
	for _, stmt := range tree.Stmts {
		if def, ok := stmt.(*syntax.DefStmt); ok {
			s.function(def)
		}
	}
	if s.next > MaxStatements {
		return &diag.Problem{Code: "P1409", Message: "the files have too many statements to count", Found: "more than that", Wanted: fmt.Sprintf("at most %d", MaxStatements)}
	}
	c.Files = append(c.Files, CoveredFile{Name: name, Statements: s.found})
	c.total = s.next
	return nil
}

// begin makes room for the counts, when all files have been instrumented.
func (c *Coverage) begin() { c.counts = make([]atomic.Uint32, c.total) }

// statements puts calls before the statements of functions.
type statements struct {
	next  int // the number of the next one
	found []Statement
}

func (s *statements) function(def *syntax.DefStmt) {
	body := def.Body
	var doc []syntax.Stmt
	if documented(body) {
		doc, body = body[:1:1], body[1:]
	}
	def.Body = append(doc, s.block(body)...)
}

// documented says whether a function begins with a text that says what it does.
func documented(body []syntax.Stmt) bool {
	first, ok := body[0].(*syntax.ExprStmt)
	if !ok {
		return false
	}
	lit, ok := first.X.(*syntax.Literal)
	return ok && lit.Token == syntax.STRING
}

func (s *statements) block(stmts []syntax.Stmt) []syntax.Stmt {
	out := make([]syntax.Stmt, 0, 2*len(stmts))
	for _, stmt := range stmts {
		out = append(out, s.count(syntax.Start(stmt)), stmt)
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			s.function(stmt)
		case *syntax.ForStmt:
			stmt.Body = s.block(stmt.Body)
		case *syntax.IfStmt:
			stmt.True, stmt.False = s.block(stmt.True), s.block(stmt.False)
		}
	}
	return out
}

// count is the call before a statement at a place.
func (s *statements) count(at syntax.Position) syntax.Stmt {
	n := &syntax.Literal{Token: syntax.INT, TokenPos: at, Raw: fmt.Sprint(s.next), Value: int64(s.next)}
	s.next++
	s.found = append(s.found, Statement{at.Line, at.Col})
	return &syntax.ExprStmt{X: &syntax.CallExpr{Fn: &syntax.Ident{NamePos: at, Name: countName}, Lparen: at, Args: []syntax.Expr{n}, Rparen: at}}
}

// StatementsOf are the statements of a file of that text, for one that nothing
// loads; ok is false when it is no Starlark.
func StatementsOf(name string, text []byte) (f CoveredFile, ok bool) {
	tree, err := dialect().Parse(name, text, 0)
	if err != nil {
		return f, false
	}
	var c Coverage
	if c.instrument(name, tree) != nil {
		return f, false
	}
	return c.Files[0], true
}
