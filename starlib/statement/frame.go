package statement

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Kinds of frames. The body says the first three, the engine the others.
const (
	KindStatement byte = 1 // a Statement as JSON; before it nothing is said
	KindInline    byte = 2 // rows of a table of rows, lines of JSON
	KindNext      byte = 3 // the table of rows is complete

	KindColumns byte = 16 // []Column as JSON
	KindRows    byte = 17 // rows, see AppendRow
	KindDone    byte = 18 // Done as JSON; nothing comes after it
	KindFailed  byte = 19 // Failure as JSON; nothing comes after it
)

const (
	// MaxFrame is the longest payload of a frame, in bytes. One row has to fit.
	MaxFrame = 64 << 20
	// MaxStatement is the longest Statement, in bytes of JSON.
	MaxStatement = 16 << 20
	// MaxColumns is how long the columns of an answer may be, in bytes of JSON.
	MaxColumns = 1 << 20
	// MaxDigits is how long the text behind TagBig may be: 39 digits and a sign.
	MaxDigits = 40
	// RowsFrame is how long a frame of rows is before it is sent, about.
	RowsFrame = 64 << 10

	headerSize = 5 // 4 bytes of length, little-endian, and one of kind
)

// ErrBroken: the other end said something that it never says.
var ErrBroken = errors.New("protocol of statements broken")

// Write sends one frame.
func Write(w io.Writer, kind byte, payload []byte) error {
	if len(payload) > MaxFrame {
		return fmt.Errorf("a frame of %d bytes: at most %d fit", len(payload), MaxFrame)
	}
	frame := make([]byte, headerSize, headerSize+len(payload))
	binary.LittleEndian.PutUint32(frame, uint32(len(payload)))
	frame[4] = kind
	_, err := w.Write(append(frame, payload...))
	return err
}

// WriteJSON sends one frame with a message.
func WriteJSON(w io.Writer, kind byte, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return Write(w, kind, raw)
}

// Read takes one frame. io.EOF is an end between two frames.
func Read(r io.Reader) (kind byte, payload []byte, err error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: cut short", ErrBroken)
		}
		return 0, nil, err
	}
	size := int(binary.LittleEndian.Uint32(header[:]))
	if size > MaxFrame {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", ErrBroken, size)
	}
	// Memory grows with what has come, not with what was announced.
	const step = 1 << 20
	for len(payload) < size {
		n, at := min(step, size-len(payload)), len(payload)
		payload = append(payload, make([]byte, n)...)
		if _, err := io.ReadFull(r, payload[at:]); err != nil {
			return 0, nil, fmt.Errorf("%w: cut short", ErrBroken)
		}
	}
	return header[4], payload, nil
}

// ReadJSON decodes the payload of a frame.
func ReadJSON(payload []byte, v any) error {
	if err := json.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("%w: %v", ErrBroken, err)
	}
	return nil
}
