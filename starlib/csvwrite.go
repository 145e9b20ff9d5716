package starlib

import (
	"bufio"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// csvWriter writes the rows of one csv.write.
type csvWriter struct {
	call      *call
	out       *bufio.Writer
	header    []string // nil: there is none, and rows are lists of any length
	delimiter string
	newline   string
	special   string // characters that make quotes necessary
	nonFinite bool   // NaN and the infinities may be written
	rows      int    // written
	texts     []string
}

func csvWrite(c *call) (starlark.Value, error) {
	p, delimiter, err := c.tableOf()
	if err != nil {
		return nil, err
	}
	rows, err := c.iterable("rows")
	if err != nil {
		return nil, err
	}
	w := &csvWriter{call: c, delimiter: delimiter}
	if w.header, err = c.headerOf(); err != nil {
		return nil, err
	}
	if w.newline, err = c.text("newline", "\r\n"); err != nil {
		return nil, err
	}
	if w.newline != "\r\n" && w.newline != "\n" {
		return nil, c.refuse("newline", starlark.String(shorten(w.newline)).String(), `"\r\n" or "\n"`)
	}
	if w.nonFinite, err = c.boolean("allow_nan", false); err != nil {
		return nil, err
	}
	w.special = w.delimiter + "\"\r\n" + string(bom)
	_, err = c.replace(p, func(out *bufio.Writer) error {
		w.out = out
		if w.header != nil {
			if err := w.line(w.header); err != nil {
				return err
			}
		}
		return c.until(rows, w.row)
	})
	if err != nil {
		return nil, err
	}
	return starlark.MakeInt(w.rows), nil
}

// row writes one row.
func (w *csvWriter) row(v starlark.Value) error {
	w.texts = w.texts[:0]
	var err error
	switch v := v.(type) {
	case *structure:
		err = w.named(v.names, v.field)
	case *starlark.Dict:
		err = w.dict(v)
	case starlark.Sequence: // list, tuple, set, range
		err = w.list(v)
	default:
		p := w.problem("the row is no list and no dict")
		p.Found, p.Wanted = typeName(v), "list, tuple, dict or struct"
		return p
	}
	if err == nil && len(w.texts) == 0 {
		err = w.problem("the row has no values")
	}
	if err != nil {
		return err
	}
	w.rows++
	return w.line(w.texts)
}

func (w *csvWriter) list(v starlark.Sequence) error {
	if w.header != nil && v.Len() != len(w.header) {
		p := w.problem("the row does not fit the header")
		p.Found, p.Wanted = plural(v.Len(), "value"), fmt.Sprint(len(w.header))
		return p
	}
	for x := range starlark.Elements(v) {
		if err := w.value(x); err != nil {
			return err
		}
	}
	return nil
}

func (w *csvWriter) dict(d *starlark.Dict) error {
	keys := make([]string, 0, d.Len())
	for k := range d.Entries() {
		s, ok := k.(starlark.String)
		if !ok {
			p := w.problem("the row has a key that is no string")
			p.Found = typeName(k)
			return p
		}
		keys = append(keys, string(s))
	}
	return w.named(keys, func(name string) starlark.Value {
		if v, found, _ := d.Get(starlark.String(name)); found { // a string can be looked up
			return v
		}
		return nil
	})
}

// named writes a row whose values have names; the first one makes the header
// when there is none.
func (w *csvWriter) named(names []string, value func(string) starlark.Value) error {
	if w.header == nil {
		if w.rows > 0 {
			p := w.problem("a row with names after rows without")
			p.Hint = "give the names: csv.write(path, rows, header = [...])"
			return p
		}
		w.header = slices.Clone(names)
		if err := w.line(w.header); err != nil {
			return err
		}
	}
	known := 0
	for _, name := range w.header {
		v := value(name)
		if v == nil {
			w.texts = append(w.texts, "")
			continue
		}
		known++
		if err := w.value(v); err != nil {
			return err
		}
	}
	if known == len(names) {
		return nil
	}
	for _, name := range names {
		if !slices.Contains(w.header, name) {
			p := w.problem(fmt.Sprintf("the header has no column %q", shorten(name)))
			if near := diag.Nearest(name, w.header); near != "" {
				p.Hint = fmt.Sprintf("did you mean %q?", near)
			}
			return p
		}
	}
	return nil
}

// value adds the text of one value to the row.
func (w *csvWriter) value(v starlark.Value) error {
	var s string
	switch v := v.(type) {
	case starlark.String:
		s = string(v)
		if i := invalidUTF8(s); i >= 0 {
			p := w.problem("a string that is not UTF-8")
			p.Found, p.Hint = fmt.Sprintf("the byte 0x%02x at offset %d", s[i], i), "write base64.encode(bytes(s))"
			return p
		}
	case starlark.NoneType:
	case starlark.Float:
		if f := float64(v); !w.nonFinite && (math.IsNaN(f) || math.IsInf(f, 0)) {
			p := w.problem("a number that few readers of CSV know")
			p.Found, p.Wanted, p.Hint = v.String(), "a finite number", "write None for an empty field, or csv.write(path, rows, allow_nan = True)"
			return p
		}
		s = floatText(v)
	case starlark.Int, starlark.Bool, path, instant, duration:
		s = v.String()
	default:
		p := w.problem("a value that a CSV field cannot hold")
		p.Found, p.Hint = typeName(v), "write json.encode(x), or str(x)"
		return p
	}
	w.texts = append(w.texts, s)
	return nil
}

// line writes the fields of one line, quoted where they have to be.
func (w *csvWriter) line(fields []string) error {
	for i, f := range fields {
		if i > 0 {
			w.out.WriteString(w.delimiter)
		}
		if strings.ContainsAny(f, w.special) || f == "" && len(fields) == 1 { // a blank line would be no row
			f = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
		}
		w.out.WriteString(f)
	}
	_, err := w.out.WriteString(w.newline) // an error of any write above is still there
	return err
}

// problem is a complaint of the row that is being written.
func (w *csvWriter) problem(what string) *diag.Problem {
	return &diag.Problem{Code: codeRow, Message: fmt.Sprintf("csv.write: row %d: %s", w.rows+1, what), Argument: w.call.place("rows")}
}
