package isolate

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/workspace"
	"perago/workspace/glob"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// loadMessage is the module that the child is to load.
type loadMessage struct {
	File    string
	Root    string
	Sources map[string][]byte
	Host    []starlib.Builtin `json:",omitempty"` // functions of the program; a call of one is an opHost
	Cover   bool              `json:",omitempty"` // count statements: the run ends with their counts
}

// runMessage starts the body of the loaded module. In its frame it is a line,
// and the rest are the params as Params.JSON wrote them.
type runMessage struct {
	Workspace bool
	Tables    bool // there is an engine of statements
	Limits    engine.Limits
	Now       time.Time // as in engine.Call
}

// frame is the payload that starts a body on params.
func (m runMessage) frame(params json.RawMessage) (json.RawMessage, error) {
	line, err := json.Marshal(m)
	return append(append(line, '\n'), params...), err
}

// read takes a frame apart; params stay as they are.
func (m *runMessage) read(payload []byte) (params json.RawMessage, err error) {
	line, params, _ := bytes.Cut(payload, []byte("\n"))
	return params, decode(line, m)
}

// cancelMessage asks the body to stop.
type cancelMessage struct{ Reason string }

// readyMessage is the first thing a child says.
type readyMessage struct {
	Version int
	Layers  []Layer
}

// loadedMessage answers load. Problems is empty when the module is there.
type loadedMessage struct{ Problems diag.List }

// The operations of a callMessage: the methods of starlib.Files, what becomes of
// a draft, and functions of the program.
const (
	opStat       = "stat"
	opFind       = "find"
	opReadDir    = "readdir"
	opGlob       = "glob"
	opOpen       = "open"
	opMore       = "more" // announce and send more of the files that the body will open
	opUsed       = "used" // only tell what Used has; there is no answer
	opCreate     = "create"
	opCommit     = "commit"
	opDiscard    = "discard"
	opCopy       = "copy"
	opRename     = "rename"
	opRemove     = "remove"
	opRemoveTree = "removetree"
	opMkdir      = "mkdir"
	opTable      = "table"    // an engine of statements; of the kind kindFiles
	opTableEnd   = "tableend" // the end of one
	opHost       = "host"     // a call of a function of the program: of the kind kindHost, one at a time
)

// What becomes of an engine of statements, and of what it has written: Other of
// an opTableEnd.
const (
	tableCommit = "commit" // it is kept
	tableDrop   = "drop"   // it is not
	tableDied   = "died"   // it is not, and why the engine ended is wanted
)

// callMessage is one request of the child.
type callMessage struct {
	ID    uint64 // the child counts up from 1
	Op    string
	Path  text                `json:",omitempty"`
	Other text                `json:",omitempty"` // the pattern of glob, the target of copy and rename
	Mode  workspace.WriteMode `json:",omitempty"` // of create
	Draft uint64              `json:",omitempty"` // of commit and discard: the ID of its create
	Used  []uint64            `json:",omitempty"` // of open, more and used: IDs of announced files that the body opened before this
	Args  json.RawMessage     `json:",omitempty"` // of host, whose name is in Path
	Need  *needMessage        `json:",omitempty"` // of table
}

// needMessage is a starlib.TableNeed.
type needMessage struct {
	Files  []text `json:",omitempty"`
	Named  bool   `json:",omitempty"`
	Output text   `json:",omitempty"`
	Folder bool   `json:",omitempty"`
}

// replyMessage answers the call of the same ID. A long listing comes in several,
// all but the last with More.
type replyMessage struct {
	ID        uint64
	Error     *fileError      `json:",omitempty"`
	Infos     []infoMessage   `json:",omitempty"` // of stat, find and readdir
	Paths     []text          `json:",omitempty"` // of glob
	Size      int64           `json:",omitempty"` // of commit
	Ahead     []aheadMessage  `json:",omitempty"` // of open and more: files that follow without being asked for
	Withdrawn []uint64        `json:",omitempty"` // of open and more: IDs of announced files that the body is no longer expected to open
	More      bool            `json:",omitempty"`
	Value     json.RawMessage `json:",omitempty"` // of host
}

// aheadMessage announces a file, which comes in a reply of this ID.
type aheadMessage struct {
	ID   uint64
	Path text
}

// infoMessage is a workspace.Info.
type infoMessage struct {
	Path     text
	Folder   bool   `json:",omitempty"`
	Size     int64  `json:",omitempty"`
	Checksum string `json:",omitempty"`
}

func encodeInfo(i workspace.Info) infoMessage {
	return infoMessage{text(i.Path), i.Folder, i.Size, i.Checksum}
}

func (m infoMessage) info() workspace.Info {
	return workspace.Info{Path: string(m.Path), Folder: m.Folder, Size: m.Size, Checksum: m.Checksum}
}

// text is a string that JSON carries unchanged, valid UTF-8 or not: names of
// files are bytes.
type text string

// MarshalText writes valid UTF-8 after a "=", and the base64 of other bytes
// after a "~".
func (t text) MarshalText() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return append([]byte{'='}, t...), nil
	}
	return base64.StdEncoding.AppendEncode([]byte{'~'}, []byte(t)), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *text) UnmarshalText(raw []byte) error {
	switch {
	case len(raw) > 0 && raw[0] == '=':
		*t = text(raw[1:])
		return nil
	case len(raw) > 0 && raw[0] == '~':
		out, err := base64.StdEncoding.AppendDecode(nil, raw[1:])
		*t = text(out)
		return err
	}
	return errors.New("text without its mark")
}

// listingStep is how many entries of a listing one reply holds. A path is at
// most 1024 bytes, six times that when every byte is escaped, so they fit.
const listingStep = 500

// recordMessage is a starlib.Record.
type recordMessage struct {
	Level   slog.Level
	Message string
	Fields  []fieldMessage `json:",omitempty"`
	At      starlib.Position
}

// fieldMessage is one field of a record. Kind is that of the slog.Value; other
// kinds than int, uint, float, bool and string travel as JSON.
type fieldMessage struct {
	Key  string
	Kind string
	Text string
}

// doneMessage ends a run: after its result, or with what ended it.
type doneMessage struct {
	Diagnostics diag.List `json:",omitempty"` // of an engine.BodyError
	Terminal    bool      `json:",omitempty"` // the same
	Panic       string    `json:",omitempty"` // of an engine.PanicError
	PanicStack  string    `json:",omitempty"`
	Cancelled   bool      `json:",omitempty"` // the worker asked for it
	Usage       engine.Usage

	result json.RawMessage // the frame before, nil when there was none
}

// encodeCounts makes the counts of statements ready to travel: 4 bytes each,
// little-endian.
func encodeCounts(counts []uint32) []byte {
	b := make([]byte, 0, 4*len(counts))
	for _, n := range counts {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// addCounts adds counts that were encoded to those of the same module.
func addCounts(to *module.Coverage, b []byte) error {
	if len(b) != 4*to.Len() {
		return fmt.Errorf("%w: %d bytes for the counts of %d statements", errProtocol, len(b), to.Len())
	}
	counts := make([]uint32, to.Len())
	for i := range counts {
		counts[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return to.Add(counts)
}

// fileError is an error of starlib.Files on its way to the child.
type fileError struct {
	Op     string `json:",omitempty"` // of an *fs.PathError
	Path   text   `json:",omitempty"`
	Text   string
	Kinds  []string `json:",omitempty"` // names in errorKinds: what errors.Is finds
	Type   string   `json:",omitempty"` // "name" has a *paths.Error in it, "pattern" a *workspace.PatternError
	Name   text     `json:",omitempty"` // of these: the path, or the pattern
	Reason string   `json:",omitempty"` // of these
	Offset int      `json:",omitempty"` // of the latter
}

// errorKind is an error that callers branch on, by its name on the wire.
type errorKind struct {
	name string
	err  error
}

// errorKinds are the errors that keep their identity over the socket.
func errorKinds() []errorKind {
	return []errorKind{
		{"not exist", fs.ErrNotExist}, {"exist", fs.ErrExist}, {"permission", fs.ErrPermission},
		{"read-only", workspace.ErrReadOnly}, {"reserved", workspace.ErrReserved},
		{"is folder", storage.ErrIsFolder}, {"not folder", storage.ErrNotFolder},
		{"unnameable", storage.ErrUnnameable}, {"bound", workspace.ErrBound},
		{"unknown repository", storage.ErrUnknownRepository}, {"unknown commit", storage.ErrUnknownCommit},
	}
}

// encodeError makes err ready to travel; nil stays nil.
func encodeError(err error) *fileError {
	if err == nil {
		return nil
	}
	e := &fileError{Text: err.Error()}
	var at *fs.PathError
	if errors.As(err, &at) {
		e.Op, e.Path, e.Text = at.Op, text(at.Path), at.Err.Error()
	}
	for _, k := range errorKinds() {
		if errors.Is(err, k.err) {
			e.Kinds = append(e.Kinds, k.name)
		}
	}
	var name *paths.Error
	var pattern *glob.Error
	switch {
	case errors.As(err, &name):
		e.Type, e.Name, e.Reason = "name", text(name.Path), name.Reason
	case errors.As(err, &pattern):
		e.Type, e.Name, e.Reason, e.Offset = "pattern", text(pattern.Pattern), pattern.Reason, pattern.Offset
	}
	return e
}

// err is what encodeError was given, as far as callers can tell.
func (e *fileError) err() error {
	if e == nil {
		return nil
	}
	inner := &remoteError{text: e.Text}
	switch e.Type {
	case "name":
		inner.within = append(inner.within, &paths.Error{Path: string(e.Name), Reason: e.Reason})
	case "pattern":
		inner.within = append(inner.within, &glob.Error{Pattern: string(e.Name), Reason: e.Reason, Offset: e.Offset})
	}
	for _, k := range errorKinds() {
		if slices.Contains(e.Kinds, k.name) {
			inner.within = append(inner.within, k.err)
		}
	}
	if e.Op == "" {
		return inner
	}
	return &fs.PathError{Op: e.Op, Path: string(e.Path), Err: inner}
}

// remoteError is an error that happened in the worker.
type remoteError struct {
	text   string
	within []error // what errors.Is and errors.As find
}

func (e *remoteError) Error() string   { return e.text }
func (e *remoteError) Unwrap() []error { return e.within }

// maxValues is how many values one message to the worker may hold: arrays,
// objects, and what is in them. A message becomes some 200 bytes of memory for
// each of them at most, however short its text.
const maxValues = 50_000

// decode reads a payload that holds exactly one JSON value of v's shape.
func decode(payload []byte, v any) error {
	if n := jsonValues(payload); n > maxValues {
		return fmt.Errorf("%w: a message of %d values, at most %d may be", errProtocol, n, maxValues)
	}
	return decodeTrusted(payload, v)
}

// decodeTrusted is decode of what the worker itself has bounded.
func decodeTrusted(payload []byte, v any) error {
	if err := json.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("%w: %v", errProtocol, err)
	}
	return nil
}

// encodeRecord makes a record ready to travel.
func encodeRecord(r starlib.Record) recordMessage {
	m := recordMessage{Level: r.Level, Message: r.Message, At: r.At}
	for _, f := range r.Fields {
		m.Fields = append(m.Fields, encodeField(f))
	}
	return m
}

func encodeField(a slog.Attr) fieldMessage {
	v := a.Value.Resolve()
	f := fieldMessage{Key: a.Key, Text: v.String()}
	switch v.Kind() {
	case slog.KindInt64:
		f.Kind = "int"
	case slog.KindUint64:
		f.Kind = "uint"
	case slog.KindFloat64:
		f.Kind, f.Text = "float", strconv.FormatFloat(v.Float64(), 'g', -1, 64)
	case slog.KindBool:
		f.Kind = "bool"
	case slog.KindAny:
		if raw, err := json.Marshal(v.Any()); err == nil && len(raw) <= engine.MaxRecordBytes {
			f.Kind, f.Text = "json", string(raw)
		}
	}
	return f
}

// record is the record that was encoded. What cannot be read stays text.
func (m recordMessage) record() starlib.Record {
	r := starlib.Record{Level: m.Level, Message: m.Message, At: m.At}
	for _, f := range m.Fields {
		r.Fields = append(r.Fields, slog.Attr{Key: f.Key, Value: f.value()})
	}
	return r
}

func (f fieldMessage) value() slog.Value {
	switch f.Kind {
	case "int":
		if n, err := strconv.ParseInt(f.Text, 10, 64); err == nil {
			return slog.Int64Value(n)
		}
	case "uint":
		if n, err := strconv.ParseUint(f.Text, 10, 64); err == nil {
			return slog.Uint64Value(n)
		}
	case "float":
		if n, err := strconv.ParseFloat(f.Text, 64); err == nil {
			return slog.Float64Value(n)
		}
	case "bool":
		if b, err := strconv.ParseBool(f.Text); err == nil {
			return slog.BoolValue(b)
		}
	case "json":
		var v any
		if jsontext.Check(f.Text) == nil && json.Unmarshal([]byte(f.Text), &v) == nil {
			return slog.AnyValue(v)
		}
	}
	return slog.StringValue(f.Text)
}

// jsonValues counts the values in a JSON text, by what stands between and around
// them: it is never less than what a decoder would make.
func jsonValues(raw []byte) int {
	n, quoted := 1, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[', c == '{', c == ',':
			n++
		}
	}
	return n
}
