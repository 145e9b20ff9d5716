//go:build cgo

package tables

import (
	"fmt"
	"math/big"
	"strings"

	duckdb "github.com/duckdb/duckdb-go-bindings"

	"perago/starlib/statement"
)

// shape is the type of a column as it travels, with what is in it.
type shape struct {
	kind   duckdb.Type
	names  []string // of a struct
	within []*shape // of a list, a struct, a map (key, value)
}

// shapeOf is the shape of a type, and its text as SQL writes it. Types that
// travel as text, or as another number, become that: the query casts them. The
// caller destroys t.
func shapeOf(t duckdb.LogicalType, depth int) (*shape, string, error) {
	if depth > statement.MaxDepth {
		return nil, "", fmt.Errorf("a type nests deeper than %d", statement.MaxDepth)
	}
	s := &shape{kind: duckdb.GetTypeId(t)}
	inner := func(child duckdb.LogicalType) (string, error) {
		defer duckdb.DestroyLogicalType(&child)
		c, sql, err := shapeOf(child, depth+1)
		s.within = append(s.within, c)
		return sql, err
	}
	switch s.kind {
	case duckdb.TypeBoolean:
		return s, "BOOLEAN", nil
	case duckdb.TypeTinyInt, duckdb.TypeSmallInt, duckdb.TypeInteger, duckdb.TypeBigInt, duckdb.TypeUTinyInt, duckdb.TypeUSmallInt, duckdb.TypeUInteger:
		s.kind = duckdb.TypeBigInt
		return s, "BIGINT", nil
	case duckdb.TypeUBigInt, duckdb.TypeHugeInt:
		s.kind = duckdb.TypeHugeInt
		return s, "HUGEINT", nil
	case duckdb.TypeUHugeInt:
		return s, "UHUGEINT", nil
	case duckdb.TypeFloat, duckdb.TypeDouble, duckdb.TypeDecimal:
		s.kind = duckdb.TypeDouble
		return s, "DOUBLE", nil
	case duckdb.TypeBlob:
		return s, "BLOB", nil
	case duckdb.TypeTimestamp, duckdb.TypeTimestampS, duckdb.TypeTimestampMS, duckdb.TypeTimestampTZ:
		s.kind = duckdb.TypeTimestamp
		return s, "TIMESTAMP", nil
	case duckdb.TypeTimestampNS:
		return s, "TIMESTAMP_NS", nil
	case duckdb.TypeList:
		sql, err := inner(duckdb.ListTypeChildType(t))
		return s, sql + "[]", err
	case duckdb.TypeArray:
		s.kind = duckdb.TypeList
		sql, err := inner(duckdb.ArrayTypeChildType(t))
		return s, sql + "[]", err
	case duckdb.TypeStruct:
		var fields []string
		for i := range duckdb.StructTypeChildCount(t) {
			field := duckdb.StructTypeChildName(t, i)
			if field == "" { // row(1, 2): nothing to call its fields
				return &shape{kind: duckdb.TypeVarchar}, "VARCHAR", nil
			}
			sql, err := inner(duckdb.StructTypeChildType(t, i))
			if err != nil {
				return nil, "", err
			}
			s.names = append(s.names, field)
			fields = append(fields, name(field)+" "+sql)
		}
		return s, "STRUCT(" + strings.Join(fields, ", ") + ")", nil
	case duckdb.TypeMap:
		key, err := inner(duckdb.MapTypeKeyType(t))
		if err != nil {
			return nil, "", err
		}
		value, err := inner(duckdb.MapTypeValueType(t))
		return s, "MAP(" + key + ", " + value + ")", err
	}
	s.kind = duckdb.TypeVarchar // DATE, TIME, INTERVAL, UUID, ENUM and rarer ones
	return s, "VARCHAR", nil
}

// reader reads the values of one vector.
type reader struct {
	*shape
	valid  *uint64
	vector duckdb.Vector
	within []*reader
}

// readerOf reads a vector of n values, or one inside of another.
func readerOf(s *shape, v duckdb.Vector) *reader {
	r := &reader{shape: s, valid: validity(v), vector: v}
	switch s.kind {
	case duckdb.TypeList:
		r.within = []*reader{readerOf(s.within[0], duckdb.ListVectorGetChild(v))}
	case duckdb.TypeMap: // a list of structs of key and value
		entries := duckdb.ListVectorGetChild(v)
		r.within = []*reader{readerOf(s.within[0], duckdb.StructVectorGetChild(entries, 0)), readerOf(s.within[1], duckdb.StructVectorGetChild(entries, 1))}
	case duckdb.TypeStruct:
		for i := range s.names {
			r.within = append(r.within, readerOf(s.within[i], duckdb.StructVectorGetChild(v, duckdb.IdxT(i))))
		}
	}
	return r
}

// at is one value of a vector.
func at[T any](r *reader, row int) T { return data[T](r.vector, row+1)[row] }

// listEntry is where the items of one list are in the vector of all items.
type listEntry struct{ offset, length uint64 }

// hugeInt is an integer of 128 bits, as two's complement or without a sign.
type hugeInt struct {
	lower uint64
	upper int64
}

const (
	infinite = 1<<63 - 1 // TIMESTAMP 'infinity'; its negative is '-infinity'
	micros   = 1_000_000
	nanos    = 1_000_000_000
)

// append writes the value of a row.
func (r *reader) append(b []byte, row int) ([]byte, error) {
	if !isValid(r.valid, row) {
		return append(b, statement.TagNull), nil
	}
	switch r.kind {
	case duckdb.TypeBoolean:
		if at[uint8](r, row) != 0 {
			return append(b, statement.TagTrue), nil
		}
		return append(b, statement.TagFalse), nil
	case duckdb.TypeBigInt:
		return statement.AppendInt(b, at[int64](r, row)), nil
	case duckdb.TypeHugeInt, duckdb.TypeUHugeInt:
		return appendHuge(b, at[hugeInt](r, row), r.kind == duckdb.TypeHugeInt), nil
	case duckdb.TypeDouble:
		return statement.AppendFloat(b, at[float64](r, row)), nil
	case duckdb.TypeVarchar:
		return statement.AppendText(b, statement.TagText, text(&data[duckdb.StringT](r.vector, row+1)[row])), nil
	case duckdb.TypeBlob:
		return statement.AppendText(b, statement.TagBytes, text(&data[duckdb.StringT](r.vector, row+1)[row])), nil
	case duckdb.TypeTimestamp:
		return appendTime(b, at[int64](r, row), micros)
	case duckdb.TypeTimestampNS:
		return appendTime(b, at[int64](r, row), nanos)
	case duckdb.TypeList:
		e := at[listEntry](r, row)
		b = statement.AppendLength(b, statement.TagList, int(e.length))
		return r.appendItems(b, e)
	case duckdb.TypeMap:
		e := at[listEntry](r, row)
		b = statement.AppendLength(b, statement.TagMap, int(e.length))
		return r.appendItems(b, e)
	}
	b = statement.AppendLength(b, statement.TagStruct, len(r.names)) // a struct: the last kind there is
	var err error
	for i, field := range r.within {
		b = statement.AppendText(b, statement.TagText, []byte(r.names[i]))
		if b, err = field.append(b, row); err != nil {
			return b, err
		}
	}
	return b, nil
}

// appendItems writes the items of a list, or the keys and values of a map.
func (r *reader) appendItems(b []byte, e listEntry) ([]byte, error) {
	var err error
	for i := range int(e.length) {
		for _, item := range r.within {
			if b, err = item.append(b, int(e.offset)+i); err != nil {
				return b, err
			}
		}
		if len(b) > statement.MaxFrame {
			return b, errLongRow
		}
	}
	return b, nil
}

var errManyColumns = &statement.Failure{Kind: statement.Data, Message: fmt.Sprintf("the names and types of the columns take more than %d KiB", statement.MaxColumns>>10), Offset: -1,
	Hint: "take fewer columns in the query"}

var errLongRow = &statement.Failure{Kind: statement.Memory, Message: fmt.Sprintf("a row of more than %d MiB", statement.MaxFrame>>20), Offset: -1,
	Hint: "take the long value apart in the query, or write the relation to a file"}

func appendHuge(b []byte, h hugeInt, signed bool) []byte {
	if signed && h.upper == 0 && h.lower < 1<<63 || signed && h.upper == -1 && h.lower >= 1<<63 {
		return statement.AppendInt(b, int64(h.lower))
	}
	upper := new(big.Int).SetInt64(h.upper)
	if !signed {
		upper.SetUint64(uint64(h.upper))
	}
	n := upper.Add(upper.Lsh(upper, 64), new(big.Int).SetUint64(h.lower))
	return statement.AppendText(b, statement.TagBig, []byte(n.String()))
}

func appendTime(b []byte, n, unit int64) ([]byte, error) {
	if n == infinite || n == -infinite {
		return b, &statement.Failure{Kind: statement.Data, Message: "a time that is infinite", Offset: -1, Hint: "cast the column to VARCHAR, or leave such rows out"}
	}
	seconds, rest := n/unit, n%unit
	if rest < 0 {
		seconds, rest = seconds-1, rest+unit
	}
	return statement.AppendTime(b, seconds, uint64(rest*(nanos/unit))), nil
}
