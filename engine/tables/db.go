//go:build cgo

package tables

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// db is one in-memory database with one connection. Only interrupt may be called
// beside anything else.
type db struct {
	base duckdb.Database
	conn duckdb.Connection
}

// openDB opens a database in memory. It must run before Landlock is on: DuckDB
// looks at the limits of its control group then, and aborts when it may not.
func openDB() (*db, error) {
	var config duckdb.Config
	if duckdb.CreateConfig(&config) != duckdb.StateSuccess {
		return nil, errors.New("configuration of the database")
	}
	defer duckdb.DestroyConfig(&config)
	for _, setting := range [][2]string{{"threads", "1"}, {"autoinstall_known_extensions", "false"}, {"autoload_known_extensions", "false"},
		{"allow_community_extensions", "false"}, {"allow_persistent_secrets", "false"}} {
		if duckdb.SetConfig(config, setting[0], setting[1]) != duckdb.StateSuccess {
			return nil, fmt.Errorf("setting %s of the database", setting[0])
		}
	}
	d := &db{}
	var why string
	if duckdb.OpenExt(":memory:", &d.base, config, &why) != duckdb.StateSuccess {
		return nil, fmt.Errorf("open the database: %s", why)
	}
	if duckdb.Connect(d.base, &d.conn) != duckdb.StateSuccess {
		duckdb.Close(&d.base)
		return nil, errors.New("connect to the database")
	}
	return d, nil
}

func (d *db) close() {
	duckdb.Disconnect(&d.conn)
	duckdb.Close(&d.base)
}

// interrupt ends what runs, soon.
func (d *db) interrupt() { duckdb.Interrupt(d.conn) }

// dbError is an error as DuckDB tells it: with errors_as_json, JSON behind the
// name of its kind.
type dbError struct{ text string }

func (e *dbError) Error() string { return e.text }

// result is the rows of one statement as they are made.
type result struct {
	statement duckdb.PreparedStatement
	res       duckdb.Result
}

// query runs one statement with texts for its parameters, and streams its rows.
func (d *db) query(sql string, args ...string) (*result, error) {
	r := &result{}
	if duckdb.Prepare(d.conn, sql, &r.statement) != duckdb.StateSuccess {
		err := &dbError{duckdb.PrepareError(r.statement)}
		duckdb.DestroyPrepare(&r.statement)
		return nil, err
	}
	for i, arg := range args {
		if duckdb.BindVarchar(r.statement, duckdb.IdxT(i+1), arg) != duckdb.StateSuccess {
			duckdb.DestroyPrepare(&r.statement)
			return nil, fmt.Errorf("bind parameter %d", i+1)
		}
	}
	var pending duckdb.PendingResult
	state := duckdb.PendingPreparedStreaming(r.statement, &pending)
	defer duckdb.DestroyPending(&pending)
	if state != duckdb.StateSuccess {
		err := &dbError{duckdb.PendingError(pending)}
		duckdb.DestroyPrepare(&r.statement)
		return nil, err
	}
	if duckdb.ExecutePending(pending, &r.res) != duckdb.StateSuccess {
		err := &dbError{duckdb.ResultError(&r.res)}
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *result) close() {
	duckdb.DestroyResult(&r.res)
	duckdb.DestroyPrepare(&r.statement)
}

// each hands over every chunk of the rows, valid during the call.
func (r *result) each(do func(chunk duckdb.DataChunk, rows int) error) error {
	for {
		chunk := duckdb.FetchChunk(r.res)
		if chunk.Ptr == nil {
			if text := duckdb.ResultError(&r.res); text != "" {
				return &dbError{text}
			}
			return nil
		}
		err := do(chunk, int(duckdb.DataChunkGetSize(chunk)))
		duckdb.DestroyDataChunk(&chunk)
		if err != nil {
			return err
		}
	}
}

// exec runs statements whose rows nobody wants.
func (d *db) exec(sql string, args ...string) error {
	r, err := d.query(sql, args...)
	if err != nil {
		return err
	}
	defer r.close()
	return r.each(func(duckdb.DataChunk, int) error { return nil })
}

// script is exec for what DuckDB makes several statements of.
func (d *db) script(sql string) error {
	var res duckdb.Result
	defer duckdb.DestroyResult(&res)
	if duckdb.Query(d.conn, sql, &res) != duckdb.StateSuccess {
		return &dbError{duckdb.ResultError(&res)}
	}
	return nil
}

// changed runs a statement that says how many rows it wrote: COPY.
func (d *db) changed(sql string) (rows int64, err error) {
	r, err := d.query(sql)
	if err != nil {
		return 0, err
	}
	defer r.close()
	err = r.each(func(chunk duckdb.DataChunk, n int) error {
		v := duckdb.DataChunkGetVector(chunk, 0)
		for _, count := range data[int64](v, n) {
			rows += count
		}
		return nil
	})
	return rows, err
}

// texts are the rows of a statement whose columns are all VARCHAR; NULL is "".
func (d *db) texts(sql string, args ...string) ([][]string, error) {
	r, err := d.query(sql, args...)
	if err != nil {
		return nil, err
	}
	defer r.close()
	var rows [][]string
	err = r.each(func(chunk duckdb.DataChunk, n int) error {
		columns := int(duckdb.DataChunkGetColumnCount(chunk))
		from := len(rows)
		for range n {
			rows = append(rows, make([]string, columns))
		}
		for i := range columns {
			v := duckdb.DataChunkGetVector(chunk, duckdb.IdxT(i))
			valid, strings := validity(v), data[duckdb.StringT](v, n)
			for row := range n {
				if isValid(valid, row) {
					rows[from+row][i] = string(text(&strings[row]))
				}
			}
		}
		return nil
	})
	return rows, err
}

// data is the values of a flat vector.
func data[T any](v duckdb.Vector, n int) []T {
	return unsafe.Slice((*T)(duckdb.VectorGetData(v)), n)
}

// validity is the mask of a vector, nil where all its values are there.
func validity(v duckdb.Vector) *uint64 { return (*uint64)(duckdb.VectorGetValidity(v)) }

func isValid(mask *uint64, row int) bool {
	if mask == nil {
		return true
	}
	word := *(*uint64)(unsafe.Add(unsafe.Pointer(mask), uintptr(row/64)*8))
	return word&(1<<(row%64)) != 0
}

// text is the bytes of a VARCHAR or a BLOB, in the memory of the engine: four
// bytes of length, then up to twelve bytes of text, or four of them and where
// all are.
func text(s *duckdb.StringT) []byte {
	const inlined = 12
	at := unsafe.Pointer(s)
	length := *(*uint32)(at)
	if length <= inlined {
		return unsafe.Slice((*byte)(unsafe.Add(at, 4)), length)
	}
	defer runtime.KeepAlive(s)
	return unsafe.Slice(*(**byte)(unsafe.Add(at, 8)), length)
}

// literal writes a text as SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// name writes a name as SQL, whatever is in it.
func name(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// list writes texts as a list of SQL.
func list(texts []string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = literal(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func libraryVersion() string { return duckdb.LibraryVersion() }
