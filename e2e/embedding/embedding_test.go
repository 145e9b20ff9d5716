// Package embedding builds programs outside of this module that embed perago,
// and runs them. It needs no server.
package embedding

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkout is the root of the module perago.
const checkout = "../.."

// program is the program of docs/embedding.md.
func program(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(checkout, "docs/embedding.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "```go\n")
	text, _, ended := strings.Cut(text, "```\n")
	if !found || !ended {
		t.Fatal("docs/embedding.md has no program")
	}
	return text
}

// build builds a program in a module of its own, offline, and returns its binary.
// Beside it are the task and the data that the program names.
func build(t *testing.T, source string) string {
	t.Helper()
	root, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "testdata/embedding"))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"main.go": source,
		"go.mod":  "module example\n\ngo 1.26.4\n\nrequire perago v0.0.0\n\nreplace perago => " + root + "\n",
		"go.sum":  string(sums),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("go", "build", "-o", "example", ".")
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "example")
}

// run runs a program beside its task.
func run(t *testing.T, binary string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	c := exec.Command(binary)
	c.Dir, c.Stdout, c.Stderr = filepath.Dir(binary), &out, &errs
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	err = c.Run()
	return out.String(), errs.String(), err
}

func TestProgramOfTheDocs(t *testing.T) {
	source := program(t)
	if n := strings.Count(source, "\n"); n > 25 {
		t.Errorf("the program of docs/embedding.md has %d lines, want at most 25", n)
	}
	stdout, stderr, err := run(t, build(t, source))
	if want := "rows.count {\"rows\":4}, 1 changes\n"; stdout != want || stderr != "" || err != nil {
		t.Errorf("got %q, %q, %v\nwant %q", stdout, stderr, err, want)
	}
}

// A program that forgets Main starts no process. One that calls it only in the
// process of its user starts a child and, as children may be killed by anybody,
// another one; none of them starts any.
func TestProgramWithoutMain(t *testing.T) {
	source := program(t)
	const first, main = "func main() {\n", "\tperago.Main() // first: bodies run in processes that are this program again\n"
	if !strings.Contains(source, first+main) {
		t.Fatal("perago.Main is not the first line of main")
	}
	trace := "\tf, _ := os.OpenFile(\"starts\", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)\n\tfmt.Fprintln(f, os.Args)\n"
	for _, c := range []struct {
		name, main string
		starts     int
		want       string
	}{
		{"never", "", 1, "call perago.Main() first in main"},
		{"not in the child", "\tif len(os.Args) == 1 {\n\t\tperago.Main()\n\t}\n", 3, "call perago.Main() first in main"},
		{"late", main, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			binary := build(t, strings.Replace(source, first+main, first+trace+c.main, 1))
			_, stderr, err := run(t, binary)
			if (err == nil) != (c.want == "") || !strings.Contains(stderr, c.want) {
				t.Errorf("got %v, %q, want an error with %q", err, stderr, c.want)
			}
			starts, err := os.ReadFile(filepath.Join(filepath.Dir(binary), "starts"))
			if got := bytes.Count(starts, []byte("\n")); got != c.starts || err != nil {
				t.Errorf("main was started %d times (%v), want %d:\n%s", got, err, c.starts, starts)
			}
		})
	}
}
