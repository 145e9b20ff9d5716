package trace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// The form of a trace in a commit, version 1: one JSON object, keys sorted, no
// spaces, so that one trace has one form.
//
//	{"version":1,"prefix":"p",
//	 "contents":{"p/a.csv":[120,"checksum"]},
//	 "kinds":{"p/done":"nothing"},
//	 "folders":{"p":[3,"hash"]},
//	 "patterns":[["p","*.csv",2,"hash"]],
//	 "all":[9,"hash"],
//	 "wrote":{"p/out.csv":[80,"checksum"]},
//	 "removed":["p/old.csv"],
//	 "unrepeatable":["time.now"]}
//
// What is empty is left out.
const version = 1

// maxEncoded bounds a trace that is read, in bytes.
const maxEncoded = 64 << 20

type encoded struct {
	Version      int                `json:"version"`
	Prefix       string             `json:"prefix,omitempty"`
	Contents     map[string]content `json:"contents,omitempty"`
	Kinds        map[string]Kind    `json:"kinds,omitempty"`
	Folders      map[string]names   `json:"folders,omitempty"`
	Patterns     []pattern          `json:"patterns,omitempty"`
	All          *names             `json:"all,omitempty"`
	Wrote        map[string]content `json:"wrote,omitempty"`
	Removed      []string           `json:"removed,omitempty"`
	Unrepeatable []string           `json:"unrepeatable,omitempty"`
}

type (
	content Content
	names   Names
	pattern struct {
		Pattern
		Names
	}
)

func (c content) MarshalJSON() ([]byte, error) { return tuple(c.Size, c.Checksum) }
func (n names) MarshalJSON() ([]byte, error)   { return tuple(n.Count, n.Hash) }
func (p pattern) MarshalJSON() ([]byte, error) { return tuple(p.Folder, p.Glob, p.Count, p.Hash) }

func (c *content) UnmarshalJSON(b []byte) error { return fromTuple(b, &c.Size, &c.Checksum) }
func (n *names) UnmarshalJSON(b []byte) error   { return fromTuple(b, &n.Count, &n.Hash) }
func (p *pattern) UnmarshalJSON(b []byte) error {
	return fromTuple(b, &p.Folder, &p.Glob, &p.Count, &p.Hash)
}

func tuple(parts ...any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(parts)
	return bytes.TrimSpace(b.Bytes()), err
}

func fromTuple(b []byte, parts ...any) error {
	n := len(parts)
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	if len(parts) != n {
		return fmt.Errorf("a list of %d, want %d", len(parts), n)
	}
	return nil
}

// Encode gives the form that Decode reads.
func (t *Trace) Encode() ([]byte, error) {
	e := encoded{
		Version: version, Prefix: t.Prefix, Kinds: t.Kinds, Unrepeatable: t.Unrepeatable,
		Contents: converted(t.Contents, func(c Content) content { return content(c) }),
		Folders:  converted(t.Folders, func(n Names) names { return names(n) }),
		Wrote:    converted(t.Wrote, func(c Content) content { return content(c) }),
		Removed:  slices.Sorted(maps.Keys(t.Removed)),
		All:      (*names)(t.All),
	}
	for _, p := range t.patterns() {
		e.Patterns = append(e.Patterns, pattern{p, t.Patterns[p]})
	}
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	err := out.Encode(e)
	return bytes.TrimSpace(b.Bytes()), err
}

// Decode reads what Encode gave. It may come from a commit that anyone made: the
// error says what is not a trace in it.
func Decode(data []byte) (*Trace, error) {
	if len(data) > maxEncoded {
		return nil, fmt.Errorf("trace: %d bytes, at most %d are read", len(data), maxEncoded)
	}
	var e encoded
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if d.More() {
		return nil, errors.New("trace: something follows it")
	}
	if e.Version != version {
		return nil, fmt.Errorf("trace: version %d, this perago reads %d", e.Version, version)
	}
	if n := len(e.Contents) + len(e.Kinds) + len(e.Folders); n > maxEntries || len(e.Patterns) > maxPatterns {
		return nil, fmt.Errorf("trace: %d questions and %d patterns, at most %d and %d are read", n, len(e.Patterns), maxEntries, maxPatterns)
	}
	for path, k := range e.Kinds {
		if !slices.Contains([]Kind{Nothing, File, Folder, Unnameable, NotFile, NotFolder}, k) {
			return nil, fmt.Errorf("trace: %q is %q, which is no kind", path, k)
		}
	}
	t := &Trace{
		Prefix: e.Prefix, Kinds: orEmpty(e.Kinds), Unrepeatable: e.Unrepeatable,
		Contents: converted(e.Contents, func(c content) Content { return Content(c) }),
		Folders:  converted(e.Folders, func(n names) Names { return Names(n) }),
		Wrote:    converted(e.Wrote, func(c content) Content { return Content(c) }),
		Patterns: make(map[Pattern]Names, len(e.Patterns)),
		Removed:  make(map[string]bool, len(e.Removed)),
		All:      (*Names)(e.All),
	}
	for _, p := range e.Patterns {
		t.Patterns[p.Pattern] = p.Names
	}
	for _, path := range e.Removed {
		t.Removed[path] = true
	}
	return t, nil
}

func converted[A, B any](m map[string]A, convert func(A) B) map[string]B {
	out := make(map[string]B, len(m))
	for k, v := range m {
		out[k] = convert(v)
	}
	return out
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
