package statement

import (
	"encoding/binary"
	"math"
)

// A row is its values one after another, each a tag and what belongs to it. The
// names of the columns are told once, before the first row.
const (
	TagNull   byte = iota
	TagFalse       //
	TagTrue        //
	TagInt         // zigzag varint
	TagBig         // decimal text, as TagText
	TagFloat       // 8 bytes, little-endian
	TagText        // uvarint of length, then UTF-8
	TagBytes       // the same, any bytes
	TagTime        // zigzag varint of seconds since 1970, uvarint of nanoseconds
	TagList        // uvarint of length, then the items
	TagStruct      // uvarint of length, then a text without its tag and a value each
	TagMap         // uvarint of length, then two values each
)

// MaxDepth is how deep lists and structs may nest.
const MaxDepth = 200

// AppendInt writes an int.
func AppendInt(b []byte, n int64) []byte { return binary.AppendVarint(append(b, TagInt), n) }

// AppendFloat writes a float.
func AppendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(append(b, TagFloat), math.Float64bits(f))
}

// AppendText writes a text under one of the tags that have one.
func AppendText(b []byte, tag byte, s []byte) []byte {
	return append(binary.AppendUvarint(append(b, tag), uint64(len(s))), s...)
}

// AppendTime writes a point in time.
func AppendTime(b []byte, seconds int64, nanos uint64) []byte {
	return binary.AppendUvarint(binary.AppendVarint(append(b, TagTime), seconds), nanos)
}

// AppendLength writes the tag and the length of a list, a struct or a map.
func AppendLength(b []byte, tag byte, n int) []byte {
	return binary.AppendUvarint(append(b, tag), uint64(n))
}

// Rows reads values out of a frame of rows. After a failed read Err says so and
// every further read gives zeros.
type Rows struct {
	rest []byte
	err  error
}

// ReadRows starts to read a payload.
func ReadRows(payload []byte) *Rows { return &Rows{rest: payload} }

// More says whether there is another row.
func (r *Rows) More() bool { return r.err == nil && len(r.rest) > 0 }

// Err is ErrBroken when the payload was not what it should be.
func (r *Rows) Err() error { return r.err }

func (r *Rows) fail() { r.rest, r.err = nil, ErrBroken }

// Tag is the next tag.
func (r *Rows) Tag() byte {
	if len(r.rest) == 0 {
		r.fail()
		return TagNull
	}
	tag := r.rest[0]
	r.rest = r.rest[1:]
	return tag
}

// Int is what stands behind TagInt, and the seconds of TagTime.
func (r *Rows) Int() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// Uint is a length, and the nanoseconds of TagTime.
func (r *Rows) Uint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// Length is how many items follow; each takes a byte at least.
func (r *Rows) Length() int {
	n := r.Uint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

// Float is what stands behind TagFloat.
func (r *Rows) Float() float64 {
	if len(r.rest) < 8 {
		r.fail()
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(r.rest))
	r.rest = r.rest[8:]
	return f
}

// Text is what stands behind a tag with text. It shares the memory of the payload.
func (r *Rows) Text() []byte {
	n := r.Length()
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}
