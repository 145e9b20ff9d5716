// Package layout lays task files out, and holds the result against the source.
package layout

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/bazelbuild/buildtools/build"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// MaxSource is the size, in bytes, above which nothing is taken for a task file.
const MaxSource = 8 << 20

// Error is a file that is left as it is, and what to do about it.
type Error struct {
	Text string
	Hint string // "" when there is nothing to advise
}

func (e *Error) Error() string { return e.Text }

// Format lays a task file out. What it means stays: the result is parsed again
// and held against the source, and a difference is an error. The error is a
// diag.List where the source does not parse, else an *Error.
func Format(name string, source []byte) ([]byte, error) {
	if len(source) > MaxSource {
		return nil, &Error{fmt.Sprintf("format %s: more than %d MiB", name, MaxSource>>20), ""}
	}
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	source = bytes.ReplaceAll(source, []byte("\r\n"), []byte("\n"))
	source = bytes.ReplaceAll(source, []byte("\r"), []byte("\n")) // alone it ends a line, too
	sources := &diag.Sources{Text: map[string][]byte{name: source}, Trees: map[string]*syntax.File{}}
	if d := sources.CheckSource(name); d != nil {
		return nil, diag.List{d}
	}
	before, err := dialect().Parse(name, source, syntax.RetainComments)
	if err != nil {
		return nil, diag.FromError(err, sources)
	}
	text, literals := hideBytesLiterals(source, before)
	file, err := build.ParseDefault(name, text)
	if err != nil {
		return nil, &Error{err.Error(), "`perago check " + name + "` says more"}
	}
	formatted := build.FormatWithoutRewriting(file)
	for i, literal := range literals {
		formatted = bytes.ReplaceAll(formatted, placeholder(i), literal)
	}
	after, err := dialect().Parse(name, formatted, syntax.RetainComments)
	if err != nil || !sameMeaning(before, after) {
		return nil, &Error{fmt.Sprintf("format %s: the layout would change what the file means; it is left as it is", name),
			"this is a defect of perago: please report it with the file"}
	}
	return formatted, nil
}

// dialect is what the formatter reads: as much as the language has, and more.
func dialect() *syntax.FileOptions {
	return &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, GlobalReassign: true, Recursion: true}
}

// placeholder stands for the i-th bytes literal while the formatter, whose
// grammar has none, is at work.
func placeholder(i int) []byte { return fmt.Appendf(nil, "perago_bytes_literal_%06d_", i) }

// hideBytesLiterals puts a name of its own in the place of every b"…".
func hideBytesLiterals(source []byte, file *syntax.File) (text []byte, literals [][]byte) {
	lineStarts := []int{0}
	for i, c := range source {
		if c == '\n' {
			lineStarts = append(lineStarts, i+1)
		}
	}
	last := 0
	syntax.Walk(file, func(n syntax.Node) bool {
		lit, ok := n.(*syntax.Literal)
		if !ok || lit.Token != syntax.BYTES {
			return true
		}
		at := lineStarts[lit.TokenPos.Line-1]
		for range lit.TokenPos.Col - 1 { // columns are runes
			at += runeLen(source[at:])
		}
		text = append(append(text, source[last:at]...), placeholder(len(literals))...)
		literals = append(literals, []byte(lit.Raw))
		last = at + len(lit.Raw)
		return true
	})
	return append(text, source[last:]...), literals
}

func runeLen(b []byte) int {
	for n := 1; n < len(b); n++ {
		if b[n]&0xC0 != 0x80 {
			return n
		}
	}
	return len(b)
}

// sameMeaning compares two files by all but places, spelling of literals, and parentheses.
func sameMeaning(a, b *syntax.File) bool {
	return sameNode(reflect.ValueOf(a.Stmts), reflect.ValueOf(b.Stmts))
}

func sameNode(a, b reflect.Value) bool {
	a, b = bare(a), bare(b)
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return false
	}
	if !a.IsValid() {
		return true
	}
	switch a.Kind() {
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameNode(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range a.NumField() {
			f := a.Type().Field(i)
			if ignoredField(f) {
				continue
			}
			if !sameNode(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return a.CanInterface() && reflect.DeepEqual(a.Interface(), b.Interface())
}

// ignoredField: places, comments, and what the resolver adds, are not meaning.
func ignoredField(f reflect.StructField) bool {
	return f.Type == reflect.TypeFor[syntax.Position]() || f.Name == "Raw" || f.Name == "commentsRef" || f.Name == "Binding" || f.Name == "Function"
}

// bare goes through pointers, interfaces and parentheses.
func bare(v reflect.Value) reflect.Value {
	for v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) {
		if v.IsNil() {
			return reflect.Value{}
		}
		if p, ok := v.Interface().(*syntax.ParenExpr); ok {
			v = reflect.ValueOf(p.X)
			continue
		}
		if i, ok := v.Interface().(interface{ Sign() int }); ok { // a big integer: compared as itself
			return reflect.ValueOf(fmt.Sprint(i))
		}
		v = v.Elem()
	}
	return v
}
