package starlib

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"perago/starlib/diag"
)

// bom is the byte order mark that some programs put before UTF-8.
const bom = '\uFEFF'

// csvRecords reads the records of one CSV file (RFC 4180).
type csvRecords struct {
	lines     *lineReader
	delimiter string
	line      int // where the last record started, from 1

	fields []string // of the present record
	text   string   // its present line, without the newline
	end    string   // that newline
	at     int      // offset into text
	size   int      // of the present record, in bytes
}

func newCSVRecords(c *call, p path, in *bufio.Reader, delimiter string) *csvRecords {
	return &csvRecords{lines: &lineReader{call: c, path: p, in: in}, delimiter: delimiter}
}

// next is the next record, valid until the next call; io.EOF after the last.
// Errors that are not of reading are *diag.Problem.
func (r *csvRecords) next() ([]string, error) {
	r.text = ""
	for r.text == "" {
		r.size = 0 // blank lines are of no record
		if err := r.readLine(); err != nil {
			return nil, err
		}
	}
	r.line = r.lines.line
	r.fields = r.fields[:0]
	for {
		field, last, err := r.field()
		if err != nil {
			return nil, err
		}
		r.fields = append(r.fields, strings.Clone(field)) // a field that is kept must not keep its record
		if last {
			return r.fields, nil
		}
	}
}

// readLine reads the next line of the file.
func (r *csvRecords) readLine() error {
	line, err := r.lines.next()
	if err != nil {
		return err
	}
	if r.lines.line == 1 {
		line = bytes.TrimPrefix(line, []byte(string(bom)))
	}
	n := len(trimNewline(line))
	text := string(line)
	r.text, r.end = text[:n], text[n:]
	r.at = 0
	r.size += len(text)
	if r.size > maxRecord {
		p := r.problem(codeTooLong, r.line, "the record is too long")
		p.Found = fmt.Sprintf("more than %d MiB", maxRecord>>20)
		p.Hint = "is there a quote that is never closed?"
		return p
	}
	return nil
}

// field reads one field and the delimiter behind it; last is true when the
// record ends with it.
func (r *csvRecords) field() (field string, last bool, err error) {
	rest := r.text[r.at:]
	if strings.HasPrefix(rest, `"`) {
		return r.quoted()
	}
	field, rest, more := strings.Cut(rest, r.delimiter)
	if i := strings.IndexByte(field, '"'); i >= 0 {
		p := r.here(r.at+i, "a quote inside a field that is not quoted")
		p.Hint = `such a field is written "in ""quotes"""`
		return "", false, p
	}
	if i := strings.IndexByte(field, '\r'); i >= 0 {
		p := r.here(r.at+i, "a carriage return that no newline follows")
		p.Hint = "lines end with \\n or \\r\\n; a field that has one is written in quotes"
		return "", false, p
	}
	r.at = len(r.text) - len(rest)
	return field, !more, nil
}

// quoted reads a field that starts with a quote.
func (r *csvRecords) quoted() (field string, last bool, err error) {
	text, line, at := r.text, r.lines.line, r.at
	var b strings.Builder // of what comes before the last part, when there are several
	r.at++
	for {
		part, rest, closed := strings.Cut(r.text[r.at:], `"`)
		if !closed { // the field goes on in the next line
			b.WriteString(part)
			b.WriteString(r.end)
			err := r.readLine()
			if err == io.EOF {
				return "", false, r.there(text, line, at, "a quote that is never closed")
			}
			if err != nil {
				return "", false, err
			}
			continue
		}
		r.at = len(r.text) - len(rest)
		switch {
		case strings.HasPrefix(rest, `"`):
			b.WriteString(part)
			b.WriteByte('"')
			r.at++
			continue
		case rest == "":
			last = true
		case strings.HasPrefix(rest, r.delimiter):
			r.at += len(r.delimiter)
		default:
			p := r.here(r.at, "text after a closing quote")
			p.Hint = "a quote in a quoted field is written twice"
			return "", false, p
		}
		if b.Len() == 0 {
			return part, last, nil
		}
		b.WriteString(part)
		return b.String(), last, nil
	}
}

// here is a complaint of an offset in the present line.
func (r *csvRecords) here(offset int, what string) *diag.Problem {
	return r.there(r.text, r.lines.line, offset, what)
}

// there is a complaint of an offset in a line that was read before.
func (r *csvRecords) there(text string, line, offset int, what string) *diag.Problem {
	column := utf8.RuneCountInString(text[:offset]) + 1
	return r.problem(codeCSV, line, fmt.Sprintf("column %d: %s", column, what))
}
