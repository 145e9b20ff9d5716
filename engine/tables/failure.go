//go:build cgo

package tables

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"perago/starlib/statement"
)

// told is what an error of DuckDB says with errors_as_json.
type told struct {
	Type       string `json:"exception_type"`
	Message    string `json:"exception_message"`
	Position   string `json:"position"`
	Candidates string `json:"candidates"`
}

// understand takes an error of DuckDB apart.
func understand(err error) told {
	text := err.Error()
	var t told
	if i := strings.IndexByte(text, '{'); i >= 0 && json.Unmarshal([]byte(text[i:]), &t) == nil && t.Type != "" {
		return t
	}
	kind, message, found := strings.Cut(text, " Error: ")
	if !found {
		return told{Message: text}
	}
	return told{Type: kind, Message: message}
}

// kindOf says what kind of failure an exception of DuckDB is.
func kindOf(exception string) statement.Kind {
	switch exception {
	case "Parser", "Syntax":
		return statement.Syntax
	case "Binder", "Catalog", "Mismatch Type", "Parameter Not Allowed", "Parameter Not Resolved", "Not implemented", "Dependency":
		return statement.Names
	case "Permission", "Missing Extension", "Autoloading", "HTTP", "Settings", "Extension":
		return statement.Refused
	case "Out of Memory", "OutOfMemory":
		return statement.Memory
	case "INTERRUPT", "Interrupt":
		return statement.Stopped
	case "INTERNAL", "FATAL", "Internal", "Fatal":
		return statement.Internal
	}
	return statement.Data
}

// failed makes a failure of any error. relation is where it came up, and lead how
// many bytes of perago's own stand before the query in what DuckDB was given.
func (s *session) failed(err error, relation int, place func(offset int) int) *statement.Failure {
	var already *statement.Failure
	if errors.As(err, &already) {
		return already
	}
	var of *dbError
	if !errors.As(err, &of) {
		return &statement.Failure{Kind: statement.Internal, Message: err.Error(), Relation: relation, Offset: -1}
	}
	t := understand(of)
	f := &statement.Failure{Kind: kindOf(t.Type), Relation: relation, Offset: -1}
	if at, err := strconv.Atoi(t.Position); err == nil && place != nil {
		f.Offset = place(at)
	}
	if t.Candidates != "" {
		f.Near, _, _ = strings.Cut(t.Candidates, ",")
	}
	f.Message, f.Hint = s.words(t.Message)
	if strings.Contains(f.Message, "File too large") || strings.Contains(f.Message, "No space left") {
		f.Kind = statement.Memory
	}
	switch f.Kind {
	case statement.Memory:
		f.Message, f.Hint = full(t.Message)
	case statement.Internal:
		f.Message, f.Hint = "the engine gave up", ""
	case statement.Refused:
		f.Message, f.Hint = "the engine reaches nothing but the tables that it was given", "give the file by keyword: sql(\"... FROM t\", t = path)"
	}
	return f
}

// full says what a statement has too much of.
func full(message string) (what, hint string) {
	switch {
	case strings.Contains(message, "No space left"):
		return "the disk is full", ""
	case strings.Contains(message, "File too large"):
		return "the output is larger than the attempt may write", "raise resources(scratch = ...)"
	case strings.Contains(message, "temp_directory") || strings.Contains(message, "offload"):
		return "the statement spills more to disk than the attempt may", "raise resources(memory = ...) or resources(scratch = ...)"
	}
	return "the statement takes more memory than the attempt has", "raise resources(memory = ...), or group and sort before rows are put into lists"
}

// words is a message of DuckDB as one line without its proposals, with the paths
// of the workspace in the place of those that the engine opens.
func (s *session) words(message string) (first, hint string) {
	message = s.paths.Replace(message)
	if i := strings.Index(message, "\n\nStack Trace:"); i >= 0 {
		message = message[:i]
	}
	if of, line, rest, is := csvError(message); is {
		return fmt.Sprintf("%s:%s: %s", of, line, rest), ""
	}
	var lines []string
	for line := range strings.Lines(message) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "Did you mean"), strings.HasPrefix(line, "Candidate bindings:"), strings.HasPrefix(line, "LINE "), line == "^", line == "":
			continue
		case strings.HasPrefix(line, "Possible fixes:"), strings.HasPrefix(line, "Possible solution"), strings.HasPrefix(line, "* "):
			continue
		}
		lines = append(lines, line)
		if len(lines) == maxLines {
			break
		}
	}
	first = strings.TrimRight(strings.Join(lines, "; "), "!.")
	if len(first) > maxMessage {
		first = strings.ToValidUTF8(first[:maxMessage], "") + "…"
	}
	return first, ""
}

// csvError takes what DuckDB says of a CSV file apart: the file, the line in it,
// and what is wrong with it.
func csvError(message string) (file, line, what string, is bool) {
	rest, is := strings.CutPrefix(message, "CSV Error on Line: ")
	if !is {
		return "", "", "", false
	}
	line, rest, _ = strings.Cut(rest, "\n")
	for text := range strings.Lines(rest) {
		text = strings.TrimSpace(text)
		switch name, found := strings.CutPrefix(text, "file = "); {
		case found:
			file = name
		case what == "" && text != "" && !strings.HasPrefix(text, "Original Line:"):
			what = strings.TrimRight(text, ".")
		}
	}
	return file, line, what, file != "" && what != ""
}

const (
	maxLines   = 4   // of a message of DuckDB
	maxMessage = 600 // bytes
)
