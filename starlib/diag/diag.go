// Package diag holds the one shape of every error in a task file: Diagnostic,
// its places and its renderings as text, JSON and CI annotations, and the table
// of codes behind `perago explain`.
package diag

import (
	"strconv"
	"strings"
)

// Severity of a Diagnostic.
type Severity string

const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Code is stable: P1xxx syntax and load, P2xxx declaration, P3xxx input and
// result, P4xxx run and limits, P5xxx lint. The table is in codes.go.
type Code string

// Frame is one call of the stack of a running body.
type Frame struct {
	File     string `json:"file"`
	Line     int    `json:"line"`   // from 1
	Column   int    `json:"column"` // from 1, in runes
	Function string `json:"function"`
}

// Diagnostic is one complaint about a task file, its input or its run. Fields
// that do not apply are zero and left out of the JSON.
type Diagnostic struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	File     string   `json:"file,omitempty"`   // as it was named on the command line
	Line     int      `json:"line,omitempty"`   // from 1
	Column   int      `json:"column,omitempty"` // from 1, in runes
	Source   string   `json:"source,omitempty"` // the source line, without its newline
	Found    string   `json:"found,omitempty"`
	Wanted   string   `json:"wanted,omitempty"`
	Hint     string   `json:"hint,omitempty"`
	Detail   string   `json:"detail,omitempty"` // more lines for a person: a diff, or what became of a run
	Fix      []Edit   `json:"fix,omitempty"`    // what mends it, where that is sure
	Stack    []Frame  `json:"stack,omitempty"`  // outermost call first, as Starlark prints it
}

// Problem is a Diagnostic without a position: the error of a builtin. FromError
// makes a Diagnostic of it, at the position of the call or of the argument. It wraps
// Cause when there is one.
type Problem struct {
	Code    Code
	Message string
	Found   string
	Wanted  string
	Hint    string
	Detail  string // lines of text

	// Argument is the keyword or the index ("1") of the argument of the builtin
	// call that is at fault; "" when it is the call as a whole. The place of the
	// Diagnostic is then that argument's, when it can be known.
	Argument string

	// Instead is the keyword that is sure to be meant in place of Argument, "" when
	// there is none.
	Instead string

	// Place, when it has a line, is where it is to be mended, if that is not where
	// the call is.
	Place Frame

	Cause error
}

func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Message)
	if p.Found != "" || p.Wanted != "" {
		b.WriteString(": ")
		switch {
		case p.Wanted == "":
			b.WriteString("got " + p.Found)
		case p.Found == "":
			b.WriteString("want " + p.Wanted)
		default:
			b.WriteString("got " + p.Found + ", want " + p.Wanted)
		}
	}
	return b.String()
}

func (p *Problem) Unwrap() error { return p.Cause }

// List is one or more Diagnostics as an error.
type List []*Diagnostic

func (l List) Error() string {
	lines := make([]string, len(l))
	for i, d := range l {
		lines[i] = d.Line1()
	}
	return strings.Join(lines, "\n")
}

// Line1 is the first line of a Diagnostic, "FILE:LINE:COLUMN: message: got X,
// want Y", without what is not known. It is one line, and safe on a terminal.
func (d *Diagnostic) Line1() string {
	message := (&Problem{Message: d.Message, Found: d.Found, Wanted: d.Wanted}).Error()
	switch {
	case d.File != "" && d.Line != 0:
		message = d.File + ":" + strconv.Itoa(d.Line) + ":" + strconv.Itoa(d.Column) + ": " + message
	case d.File != "":
		message = d.File + ": " + message
	}
	return Printable(message)
}
