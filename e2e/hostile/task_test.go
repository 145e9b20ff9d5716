package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/klauspost/compress/zstd"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/folder"
)

// task is one file of ../../testdata/hostile. Its head says what must become of
// it, and what it reads:
//
//	# want: FAILED P4006:8           status, code, line; or 8-9, 8 or 11: a limit may strike on any of them
//	# want: COMPLETED {"n":1}        and the result, or "COMPLETED 817 bytes" of it
//	# want: refused P1502:11         it cannot even be loaded
//	# modes: process                 not run in thread mode, which does not promise it
//	# params: {"token": "s3cr3t"}    its input
//	# hides: s3cr3t                  no 8 characters of it (all of a shorter one) in whatever the attempt tells
//	# data: raw/x.json = "[" * 1500000 + "x"     a file of its workspace
//	# data: raw/x.bin = zeros 1000000000         a sparse one
//	# data: raw/x.gz = "x\n" * 500000 | gzip * 1000    1,000 times what gzip makes of a text; zstd and zstd-long do too
//	# data: raw/out -> /etc/passwd               a symlink
type task struct {
	name    string
	file    string
	want    string
	process bool // only
	params  string
	hides   string
	data    []string
	module  *module.Module // nil: refused
	refused string         // "refused CODE:LINE"
	runner  *engine.Runner
	told    *listener
}

// readCorpus reads the heads of all tasks.
func readCorpus(t *testing.T) (tasks []*task) {
	t.Helper()
	files, err := filepath.Glob("../../testdata/hostile/*.star")
	if err != nil || len(files) < 80 {
		t.Fatalf("%d hostile tasks, %v; want at least 80", len(files), err)
	}
	for _, file := range files {
		tasks = append(tasks, readTask(t, file))
	}
	return tasks
}

func readTask(t *testing.T, file string) *task {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h := &task{name: strings.TrimSuffix(filepath.Base(file), ".star"), file: file, params: "{}"}
	for line := range strings.Lines(string(source)) {
		key, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "#")), ": ")
		switch {
		case !strings.HasPrefix(line, "# "):
		case key == "want":
			h.want = value
		case key == "modes":
			h.process = value == "process"
		case key == "params":
			h.params = value
		case key == "hides":
			h.hides = value
		case key == "data":
			h.data = append(h.data, value)
		}
	}
	return h
}

// prepare makes the workspace of a task and loads it.
func (h *task) prepare(t *testing.T, root *attempts.Root, body engine.Body) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range h.data {
		plant(t, dir, d)
	}
	store, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h.told = &listener{hides: h.hides}
	h.runner = &engine.Runner{Store: store, Root: root, Fixed: &workspace.Ref{}, Body: body, Log: slog.New(slog.NewJSONHandler(h.told, nil))}
	m, problems := module.Load(h.file, nil)
	if len(problems) > 0 {
		h.refused = fmt.Sprintf("refused %s:%d", problems[0].Code, problems[0].Line)
	}
	h.module = m
	if m != nil && m.Task.Resources.Seconds == 1 {
		h.runner.Ceiling.Wall = 300 * time.Millisecond // the operator's; the corpus is long
	}
}

// plant makes one file of a workspace as its directive says.
func plant(t *testing.T, dir, directive string) {
	t.Helper()
	name, value, isFile := strings.Cut(directive, " = ")
	link, to, isLink := strings.Cut(directive, " -> ")
	if isLink {
		name = link
	} else if !isFile {
		t.Fatalf("data %s: neither a file nor a link", directive)
	}
	path := filepath.Join(dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil && isLink {
		err = os.Symlink(to, path)
	} else if err == nil {
		err = write(path, value)
	}
	if err != nil {
		t.Fatalf("data %s: %v", directive, err)
	}
}

// write makes a file of texts, each of them some times.
func write(path, value string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if value, how, packed := strings.Cut(value, " | "); packed {
		return writePacked(f, path, value, how)
	}
	if size, zeros := strings.CutPrefix(value, "zeros "); zeros {
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			return err
		}
		return f.Truncate(n)
	}
	for part := range strings.SplitSeq(value, " + ") {
		quoted, times, repeated := strings.Cut(part, `" * `)
		n := 1
		if repeated {
			quoted += `"`
			if n, err = strconv.Atoi(times); err != nil {
				return err
			}
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return err
		}
		const most = 1 << 16
		chunk := strings.Repeat(text, min(n, most))
		for left := n; left > 0; left -= most {
			if _, err := f.WriteString(chunk[:min(left, most)*len(text)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// writePacked writes what a directive makes, packed, some times to f.
func writePacked(f *os.File, path, value, how string) error {
	compression, times, _ := strings.Cut(how, " * ")
	n, err := strconv.Atoi(times)
	if err == nil {
		err = write(path+".plain", value)
	}
	if err != nil {
		return err
	}
	content, err := os.ReadFile(path + ".plain")
	if err == nil {
		err = os.Remove(path + ".plain")
	}
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&packed)
	if window, ok := map[string]int{"zstd": 8 << 20, "zstd-long": 128 << 20}[compression]; ok {
		if w, err = zstd.NewWriter(&packed, zstd.WithWindowSize(window)); err != nil {
			return err
		}
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	for range n {
		if _, err := f.Write(packed.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// judge holds what became of a task against its head.
func (h *task) judge(t *testing.T, res engine.Result) {
	t.Helper()
	t.Logf("%-24s %.60s in %v; held %d MiB, its process %d MiB", h.name, outcome(res), res.Phases.Body.Round(time.Millisecond),
		res.Body.PeakBytes>>20, res.Body.ProcessBytes>>20)
	if got := outcome(res); !h.wants(got) {
		t.Errorf("%s:\n got %.200s (%s)\nwant %.200s", h.name, got, res.Reason, h.want)
	}
	if wall := res.Limits.Wall; wall > 0 && res.Phases.Body > wall+5*time.Second {
		t.Errorf("%s: took %v, its limit is %v", h.name, res.Phases.Body, wall)
	}
	most := res.Limits.Memory + res.Limits.Memory/2 + 64<<20 // where the hard fence stands
	if res.Body.PeakBytes > most {
		t.Errorf("%s: held %d MiB, its limit is %d MiB", h.name, res.Body.PeakBytes>>20, res.Limits.Memory>>20)
	}
	if n := len([]rune(res.Reason)); n > 500 {
		t.Errorf("%s: a reason of %d characters", h.name, n)
	}
	if n := strings.Count(res.Reason, "\n"); n > max(0, len(res.Diagnostics)-1) {
		t.Errorf("%s: a reason of %d lines for %d complaints: %q", h.name, n+1, len(res.Diagnostics), res.Reason)
	}
	h.told.hear("the reason", strings.ReplaceAll(res.Reason, "\n", " "))
	h.told.hear("the story", strings.ReplaceAll(res.Story, "\n", " "))
	for _, d := range res.Diagnostics { // whose lines are shown below each other
		h.told.hear("a diagnostic", strings.ReplaceAll(strings.Join([]string{d.Message, d.Found, d.Wanted, d.Hint}, " "), "\n", " "))
	}
	for _, wrong := range h.told.wrong {
		t.Errorf("%s: %s", h.name, wrong)
	}
}

// input is the task's input at the server.
func (h *task) input() string { return fmt.Sprintf(`{"params": %s}`, h.params) }

// listener hears all that an attempt tells to people, and keeps none of it.
type listener struct {
	hides string
	mu    sync.Mutex
	wrong []string
}

// Write hears one record of the worker's log.
func (l *listener) Write(record []byte) (int, error) {
	l.hear("the log", strings.TrimSuffix(string(record), "\n"))
	return len(record), nil
}

// hooked hears what goes to the server, too.
func (l *listener) hooked(h engine.Hooks) engine.Hooks {
	record, progress := h.Record, h.Progress
	h.Record = func(line string) {
		l.hear("the task's log", line)
		record(line)
	}
	h.Progress = func(p starlib.Progress) {
		l.hear("progress", p.Message)
		progress(p)
	}
	return h
}

// hear notes a part of a secret, and what a terminal obeys.
func (l *listener) hear(where, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) > 3 {
		return
	}
	if at := strings.IndexFunc(text, obeyed); at >= 0 {
		l.wrong = append(l.wrong, fmt.Sprintf("%.8q is in %s: %.200q", text[at:], where, text))
	}
	const window = 8
	secret := []rune(l.hides)
	for i := 0; i == 0 || i+window <= len(secret); i++ {
		if part := string(secret[i:min(len(secret), i+window)]); part != "" && strings.Contains(text, part) {
			l.wrong = append(l.wrong, fmt.Sprintf("%q of its secret is in %s: %.200q", part, where, text))
			break
		}
	}
}

// obeyed says whether a terminal obeys r instead of showing it.
func obeyed(r rune) bool {
	return unicode.IsControl(r) && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// wants says whether the head of a task lets an outcome pass.
func (h *task) wants(got string) bool {
	if h.want == got {
		return true
	}
	at := strings.LastIndexByte(got, ':') + 1
	line, err := strconv.Atoi(got[at:])
	if err != nil || !strings.HasPrefix(h.want, got[:at]) {
		return false
	}
	for lines := range strings.SplitSeq(h.want[at:], " or ") {
		first, last, isRange := strings.Cut(lines, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 == nil && err2 == nil && from <= line && line <= to {
			return true
		}
	}
	return false
}

// outcome is what became of an attempt, as a head says it.
func outcome(res engine.Result) string {
	if len(res.Diagnostics) > 0 {
		return fmt.Sprintf("%s %s:%d", res.Status, res.Diagnostics[0].Code, res.Diagnostics[0].Line)
	}
	var out struct{ Result json.RawMessage }
	if err := json.Unmarshal(res.Output, &out); err != nil {
		return fmt.Sprintf("%s, and its output is no JSON: %v", res.Status, err)
	}
	if len(out.Result) > 10_000 {
		return fmt.Sprintf("%s %d bytes", res.Status, len(out.Result))
	}
	return fmt.Sprintf("%s %s", res.Status, out.Result)
}
