package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"perago/engine/module"
	"perago/starlib"
)

// TestLanguageReference: the end of docs/language.md is `perago docs --builtins`.
func TestLanguageReference(t *testing.T) {
	const page, heading = "../../docs/language.md", "\n## Reference\n\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	guide, got, ok := strings.Cut(string(text), heading)
	if !ok {
		t.Fatalf("%s has no line %q", page, strings.TrimSpace(heading))
	}
	want := starlib.Markdown()
	if *update {
		if err := os.WriteFile(page, []byte(guide+heading+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("the reference in docs/language.md is not that of the table; renew it with `go test ./cmd/perago -run TestLanguageReference -update`")
	}
}

// TestLanguageGuide: the task file at the top of the guide is one.
func TestLanguageGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := readmeBlocks(string(text))
	if len(blocks) == 0 || blocks[0].language != "python" {
		t.Fatal("docs/language.md does not begin with a task file")
	}
	file := filepath.Join(t.TempDir(), "guide.star")
	if err := os.WriteFile(file, []byte(blocks[0].text), 0o644); err != nil {
		t.Fatal(err)
	}
	m, complaints := module.Load(file, nil)
	if m == nil {
		t.Fatal(complaints)
	}
	if list := module.Lint(m); len(list) > 0 {
		t.Error(list)
	}
}

// TestOperationsTable: docs/operations.md names every variable with its default.
func TestOperationsTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings() {
		row := ""
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "|") && strings.Contains(line, "`"+s.name+"`") {
				row = line
			}
		}
		if row == "" || !strings.Contains(row, "| "+s.usual) {
			t.Errorf("docs/operations.md: %s with its default %q: got %q", s.name, s.usual, row)
		}
	}
}

// TestREADME runs the README: in the order of the page it writes every file
// that a `<!-- file: NAME -->` names, and runs every command of a console block,
// whose output must be what the page shows (times and limits apart). Commands
// that build run in the project, the tutorial in a folder of its own. A block
// behind `<!-- e2e -->` is run by the tests of e2e, against real servers.
func TestREADME(t *testing.T) { runPage(t, "../../README.md", 10) }

// TestTestingPage runs the walk through tests in the same way.
func TestTestingPage(t *testing.T) { runPage(t, "../../docs/testing.md", 10) }

// TestTutorial runs the tutorial in the same way, and holds it against the script
// of the same path: the same commands, and fewer than ten.
func TestTutorial(t *testing.T) {
	runPage(t, "../../docs/tutorial.md", 9)
	page, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, b := range readmeBlocks(string(page)) {
		if b.language == "console" {
			for _, c := range consoleCommands(b.text) {
				want = append(want, c.line)
			}
		}
	}
	script, err := os.ReadFile("../../testdata/script/newcomer.txtar")
	if err != nil {
		t.Fatal(err)
	}
	rest := string(script)
	for _, line := range want {
		_, after, ok := strings.Cut(rest, line+"\n")
		if !ok {
			t.Errorf("testdata/script/newcomer.txtar: got no `%s` in its turn", line)
			continue
		}
		rest = after
	}
	if len(want) >= 10 {
		t.Errorf("the tutorial has %d commands, want fewer than 10", len(want))
	}
}

// runPage runs a page that has at least so many commands.
func runPage(t *testing.T, file string, least int) {
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(t)
	ran := 0
	for _, b := range readmeBlocks(string(page)) {
		switch {
		case b.file != "":
			r.write(b.file, b.text)
		case b.language == "console" && b.mark != "e2e":
			for _, c := range consoleCommands(b.text) {
				r.run(c)
				ran++
			}
		}
	}
	if ran < least {
		t.Errorf("got %d commands, want at least %d: is the page still read rightly?", ran, least)
	}
}

// block is a fenced block of the page, with what a comment before it says.
type block struct {
	language, text string
	file, mark     string
}

var codeBlock = regexp.MustCompile("(?ms)(?:^<!-- (?:file: (\\S+)|(\\w+)) -->\n)?^```(\\w*)\n(.*?)^```$")

func readmeBlocks(page string) (blocks []block) {
	for _, m := range codeBlock.FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, block{file: m[1], mark: m[2], language: m[3], text: m[4]})
	}
	return blocks
}

// command is one line after a prompt, and the output that the page shows.
type command struct{ line, output string }

func consoleCommands(text string) (commands []command) {
	for line := range strings.Lines(text) {
		if after, ok := strings.CutPrefix(line, "$ "); ok {
			commands = append(commands, command{line: strings.TrimSpace(after)})
			continue
		}
		if n := len(commands); n > 0 {
			commands[n-1].output += line
		}
	}
	return commands
}

// reader is somebody who types what the page says.
type reader struct {
	t       *testing.T
	project string // where the page is
	dir     string // where the tutorial is now
	env     []string
}

func newReader(t *testing.T) *reader {
	project, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	env := append(os.Environ(), "GOBIN="+bin, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"XDG_CACHE_HOME="+t.TempDir(), "GOCACHE="+goEnv(t, "GOCACHE"))
	return &reader{t: t, project: project, dir: t.TempDir(), env: env}
}

func goEnv(t *testing.T, name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func (r *reader) write(name, text string) {
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) run(c command) {
	if c.line == "go test ./..." {
		return // this is it
	}
	if dir, ok := strings.CutPrefix(c.line, "cd "); ok {
		r.dir = filepath.Join(r.dir, dir)
		return
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", c.line)
	cmd.Env, cmd.Dir = r.env, r.dir
	if strings.HasPrefix(c.line, "go ") {
		cmd.Dir = r.project
	}
	out, _ := cmd.CombinedOutput() // a command that is shown failing fails: its output says so
	if got, want := comparable(string(out)), comparable(c.output); got != want {
		r.t.Errorf("$ %s\ngot\n%s\nwant\n%s", c.line, out, c.output)
	}
}

var figures = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`(?m)^used: .*(; read .*)$`), "used: …$1"},
	{regexp.MustCompile(`\d+(\.\d+)? m?s\b`), "N ms"},
	{regexp.MustCompile(`\r\n`), "\n"},
}

// comparable takes out what differs from run to run.
func comparable(text string) string {
	for _, f := range figures {
		text = f.find.ReplaceAllString(text, f.put)
	}
	return text
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestTasks runs every worked task of tasks/ on its fixture, through the whole
// of perago, and holds the envelope and the folder it leaves against
// testdata/tasks/<task>/: envelope.json and want/, the workspace after --apply.
func TestTasks(t *testing.T) {
	files, err := filepath.Glob("../../tasks/*.star")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".star")
		if strings.HasSuffix(name, "_test") {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) { runWorkedTask(t, file, filepath.Join("../../testdata/tasks", name)) })
	}
	if ran < 5 {
		t.Errorf("got %d worked tasks, want at least 5", ran)
	}
}

// TestTaskTests: the tests beside the worked tasks pass, and run nearly all of them.
func TestTaskTests(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if out := string(perago(t, "test", "--coverage-min", "90", "../../tasks")); !strings.Contains(out, " passed, 0 failed\n") {
		t.Errorf("got\n%s", out)
	}
}

func runWorkedTask(t *testing.T, file, fixture string) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	args := []string{"run", file, "--params", "@" + filepath.Join(fixture, "params.json")}
	before, err := readTree(filepath.Join(fixture, "workspace"))
	if errors.Is(err, fs.ErrNotExist) {
		checkEnvelope(t, fixture, perago(t, args...))
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "workspace")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(fixture, "workspace"))); err != nil {
		t.Fatal(err)
	}
	checkEnvelope(t, fixture, perago(t, append(args, "--workspace", dir)...))
	checkTree(t, "without --apply", dir, before)

	checkEnvelope(t, fixture, perago(t, append(args, "--workspace", dir, "--apply")...))
	if *update {
		if err := errors.Join(os.RemoveAll(filepath.Join(fixture, "want")), os.CopyFS(filepath.Join(fixture, "want"), os.DirFS(dir))); err != nil {
			t.Fatal(err)
		}
	}
	want, err := readTree(filepath.Join(fixture, "want"))
	if err != nil {
		t.Fatal(err)
	}
	checkTree(t, "with --apply", dir, want)
}

// perago runs a command in this process, wants exit 0, and returns its stdout.
func perago(t *testing.T, args ...string) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &results{w: &stdout}, stderr: &stderr}
	if code := a.run(t.Context(), args); code != exitDone {
		t.Fatalf("perago %s: exit %d\n%s", strings.Join(args, " "), code, &stderr)
	}
	return stdout.Bytes()
}

func checkEnvelope(t *testing.T, fixture string, got []byte) {
	t.Helper()
	golden := filepath.Join(fixture, "envelope.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("envelope: got\n%s\nwant\n%s", got, want)
	}
}

// checkTree holds the files of a folder against what they should be.
func checkTree(t *testing.T, when, dir string, want map[string]string) {
	t.Helper()
	got, err := readTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
		t.Fatalf("%s: got files %q, want %q", when, g, w)
	}
	for path := range want {
		if got[path] != want[path] {
			t.Errorf("%s: %s: got\n%s\nwant\n%s", when, path, got[path], want[path])
		}
	}
}

// readTree reads every file below dir.
func readTree(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(data)
		return err
	})
	return files, err
}
