//go:build cgo

package tables

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	duckdb "github.com/duckdb/duckdb-go-bindings"

	"perago/starlib/statement"
)

// answer does what is asked of the last relation, and writes what comes of it to w.
func (s *session) answer(w io.Writer) (*statement.Done, *statement.Failure) {
	last := len(s.asked.Relations) - 1
	from := schema(last) + ".result"
	var done statement.Done
	var err error
	switch s.asked.Ask {
	case statement.AskRows:
		err = s.sendRows(w, from)
	case statement.AskColumns:
		err = s.sendColumns(w, from)
	case statement.AskCount:
		done.Rows, err = s.db.changed("SELECT count(*) FROM " + from)
	case statement.AskWrite:
		done.Rows, err = s.db.changed(s.copySQL(from))
	case statement.AskShow:
		done.Text, err = s.show(from)
	default:
		err = fmt.Errorf("%q is nothing to ask", s.asked.Ask)
	}
	if err != nil {
		return nil, s.failed(err, last, nil)
	}
	return &done, nil
}

// described are the columns of a table, as SQL writes their types.
func (s *session) described(from string) ([]statement.Column, error) {
	rows, err := s.db.texts("SELECT column_name, column_type FROM (DESCRIBE " + from + ")")
	out := make([]statement.Column, len(rows))
	for i, row := range rows {
		out[i] = statement.Column{Name: row[0], Type: row[1]}
	}
	return out, err
}

func (s *session) sendColumns(w io.Writer, from string) error {
	columns, err := s.described(from)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(columns)
	if err != nil {
		return err
	}
	if len(raw) > statement.MaxColumns {
		return errManyColumns
	}
	return statement.Write(w, statement.KindColumns, raw)
}

// sendRows sends the columns, then all rows, as they are made.
func (s *session) sendRows(w io.Writer, from string) error {
	if err := s.sendColumns(w, from); err != nil {
		return err
	}
	shapes, query, err := s.db.presented(from)
	if err != nil {
		return err
	}
	r, err := s.db.query(query)
	if err != nil {
		return err
	}
	defer r.close()
	b := make([]byte, 0, 2*statement.RowsFrame)
	err = r.each(func(chunk duckdb.DataChunk, rows int) error {
		readers := make([]*reader, len(shapes))
		for i, shape := range shapes {
			readers[i] = readerOf(shape, duckdb.DataChunkGetVector(chunk, duckdb.IdxT(i)))
		}
		for row := range rows {
			before := len(b)
			for _, r := range readers {
				var err error
				if b, err = r.append(b, row); err != nil {
					return err
				}
			}
			if before > 0 && len(b) > statement.MaxFrame {
				if err := statement.Write(w, statement.KindRows, b[:before]); err != nil {
					return err
				}
				b = append(b[:0], b[before:]...)
			}
			if len(b) > statement.MaxFrame {
				return errLongRow
			}
			if len(b) >= statement.RowsFrame {
				if err := statement.Write(w, statement.KindRows, b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
		return nil
	})
	if err != nil || len(b) == 0 {
		return err
	}
	return statement.Write(w, statement.KindRows, b)
}

// presented is the query that gives a table in the shapes that travel.
func (d *db) presented(from string) ([]*shape, string, error) {
	var prepared duckdb.PreparedStatement
	state := duckdb.Prepare(d.conn, "FROM "+from, &prepared)
	defer duckdb.DestroyPrepare(&prepared)
	if state != duckdb.StateSuccess {
		return nil, "", &dbError{duckdb.PrepareError(prepared)}
	}
	var shapes []*shape
	var items []string
	for i := range duckdb.PreparedStatementColumnCount(prepared) {
		t := duckdb.PreparedStatementColumnLogicalType(prepared, i)
		shape, sql, err := shapeOf(t, 0)
		duckdb.DestroyLogicalType(&t)
		if err != nil {
			return nil, "", err
		}
		shapes = append(shapes, shape)
		items = append(items, fmt.Sprintf("CAST(%s AS %s)", name(duckdb.PreparedStatementColumnName(prepared, i)), sql))
	}
	return shapes, "SELECT " + strings.Join(items, ", ") + " FROM " + from, nil
}

// copySQL writes a table into the output.
func (s *session) copySQL(from string) string {
	o := s.asked.Output
	parts := []string{"FORMAT " + name(o.Format)}
	if o.Compress != "" {
		parts = append(parts, "COMPRESSION "+literal(o.Compress))
	}
	if o.RowGroup > 0 {
		parts = append(parts, fmt.Sprintf("ROW_GROUP_SIZE %d", o.RowGroup))
	}
	if o.Array {
		parts = append(parts, "ARRAY true")
	}
	if o.Format == "csv" {
		parts = append(parts, fmt.Sprintf("HEADER %t", !o.NoHeader))
		if o.Delimiter != "" {
			parts = append(parts, "DELIMITER "+literal(o.Delimiter))
		}
	}
	if len(o.By) > 0 {
		by := make([]string, len(o.By))
		for i, column := range o.By {
			by[i] = name(column)
		}
		parts = append(parts, "PARTITION_BY ("+strings.Join(by, ", ")+")")
	} else {
		parts = append(parts, "USE_TMP_FILE false")
	}
	return fmt.Sprintf("COPY (FROM %s) TO %s (%s)", from, literal(s.job.Output), strings.Join(parts, ", "))
}

// showWidth is how wide a column is shown, in characters.
const showWidth = 40

// show draws the first rows of a table, and says how many there are.
func (s *session) show(from string) (string, error) {
	columns, err := s.described(from)
	if err != nil {
		return "", err
	}
	items := make([]string, len(columns))
	lines := make([][]string, 2)
	for i, c := range columns {
		items[i] = fmt.Sprintf("coalesce(CAST(%s AS VARCHAR), 'NULL')", name(c.Name))
		lines[0] = append(lines[0], c.Name)
		lines[1] = append(lines[1], strings.ToLower(c.Type))
	}
	most := min(max(s.asked.Show, 1), 1000)
	rows, err := s.db.texts(fmt.Sprintf("SELECT %s FROM %s LIMIT %d", strings.Join(items, ", "), from, most))
	if err != nil {
		return "", err
	}
	return drawn(append(lines, rows...)), nil
}

// drawn is a table in lines of text. The first two rows are names and types.
func drawn(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cut(cell)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var b strings.Builder
	rule := func(left, middle, right string) {
		for i, width := range widths {
			b.WriteString(left + strings.Repeat("─", width+2))
			left = middle
			if i == len(widths)-1 {
				b.WriteString(right + "\n")
			}
		}
	}
	rule("┌", "┬", "┐")
	for n, row := range rows {
		if n == 2 {
			rule("├", "┼", "┤")
		}
		for i, cell := range row {
			b.WriteString("│ " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+1))
		}
		b.WriteString("│\n")
	}
	rule("└", "┴", "┘")
	return strings.TrimSuffix(b.String(), "\n")
}

// cut is a cell on one line and not too wide.
func cut(cell string) string {
	cell = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, cell)
	if utf8.RuneCountInString(cell) <= showWidth {
		return cell
	}
	return string([]rune(cell)[:showWidth-1]) + "…"
}
