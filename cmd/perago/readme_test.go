package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestREADME runs the README: in the order of the page it writes every file
// that a `<!-- file: NAME -->` names, and runs every command of a console block,
// whose output must be what the page shows (times and limits apart). Commands
// that build run in the project, the tutorial in a folder of its own. A block
// behind `<!-- e2e -->` is run by the tests of e2e, against real servers.
func TestREADME(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
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
	if ran < 10 {
		t.Errorf("got %d commands, want at least 10: is the page still read rightly?", ran)
	}
}

// block is a fenced block of the page, with what a comment before it says.
type block struct {
	language, text string
	file, mark     string
}

var fence = regexp.MustCompile("(?ms)(?:^<!-- (?:file: (\\S+)|(\\w+)) -->\n)?^```(\\w*)\n(.*?)^```$")

func readmeBlocks(page string) (blocks []block) {
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
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
