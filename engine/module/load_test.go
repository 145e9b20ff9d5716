package module_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib/diag"
)

const plainTask = `task(name = "songs.count", owner_email = "data@example.com")

def run(params):
    return {}
`

// writeFiles puts files into a new folder and makes it the current one.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

// only is the code and first line of the only diagnostic.
func only(t *testing.T, list diag.List) string {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("got %d diagnostics, want 1: %v", len(list), list)
	}
	return string(list[0].Code) + " " + list[0].Line1()
}

func TestLoadRefusesWhatIsNoTaskFile(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"task.star":       plainTask,
		"large.star":      plainTask + "# " + strings.Repeat("x", 10<<20),
		"unreadable.star": plainTask,
		"tasks/a.star":    plainTask,
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.star"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, want string }{
		{"tasks", "P1302 tasks: this is a folder: want a file"},
		{"taks.star", "P1301 taks.star: there is no such file"},
		{"nowhere/task.star", "P1301 nowhere/task.star: there is no such file"},
		{"task.star/x.star", "P1301 task.star/x.star: this cannot be read: not a directory"},
		{"large.star", "P1303 large.star: this is too large: got 10.0 MiB, want at most 1 MiB"},
		{"fifo.star", "P1302 fifo.star: this is no plain file"},
		{"/dev/null", "P1302 /dev/null: this is no plain file"},
		{"a\x00b", "P1301 a␀b: this cannot be read: invalid argument"},
		{"", "P1301 this cannot be read"},
	} {
		m, list := module.Load(tt.file, nil)
		if got := only(t, list); m != nil || !strings.HasPrefix(got, strings.TrimSuffix(tt.want, "this cannot be read")) {
			t.Errorf("%q: got %v, want %s", tt.file, got, tt.want)
		}
	}
	if _, list := module.Load("taks.star", nil); list[0].Hint != "did you mean `task.star`?" {
		t.Errorf("got the hint %q", list[0].Hint)
	}
}

func TestLoadStaysBelowTheRoot(t *testing.T) {
	use := func(asked string) string { return "load(" + fmt.Sprintf("%q", asked) + `, "x")` + "\n" + plainTask }
	dir := writeFiles(t, map[string]string{
		"outside/x.star":                 "x = 1\n",
		"project/lib/x.star":             "x = 1\n",
		"project/lib/rooted.star":        "load(\"//lib/x.star\", \"x\")\ny = x\n",
		"project/tasks/inside.star":      use("../lib/x.star"),
		"project/tasks/rooted.star":      use("//lib/x.star"),
		"project/tasks/dots.star":        use("../../outside/x.star"),
		"project/tasks/deep.star":        use("//../outside/x.star"),
		"project/tasks/file.star":        use("//lib/file.star"),
		"project/tasks/folder.star":      use("//lib/folder/x.star"),
		"project/tasks/chain.star":       use("//lib/chain.star"),
		"project/tasks/absolute.star":    use("//lib/absolute.star"),
		"project/tasks/fine.star":        use("//lib/fine.star"),
		"project/tasks/dangling.star":    use("//lib/dangling.star"),
		"project/tasks/fifo.star":        use("//lib/fifo.star"),
		"project/tasks/passing.star":     use("../tasks/../lib/x.star"),
		"project/tasks/through_out.star": use("../../project/lib/x.star"),
	})
	lib := filepath.Join(dir, "project/lib")
	for link, to := range map[string]string{
		"file.star": "../../outside/x.star", "folder": "../../outside", "chain.star": "file.star",
		"absolute.star": filepath.Join(dir, "outside/x.star"), "fine.star": "x.star", "dangling.star": "nowhere.star",
	} {
		if err := os.Symlink(to, filepath.Join(lib, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(lib, "fifo.star"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir("project")
	for name, code := range map[string]diag.Code{
		"inside": "", "rooted": "", "fine": "", "passing": "", "through_out": "",
		"dots": "P1401", "deep": "P1401", "file": "P1401", "folder": "P1401", "chain": "P1401", "absolute": "P1401",
		"dangling": "P1402", "fifo": "P1302",
	} {
		m, list := module.Load("tasks/"+name+".star", nil)
		switch {
		case code == "" && m == nil:
			t.Errorf("%s: got %v, want a module", name, list)
		case code != "" && (len(list) != 1 || list[0].Code != code || list[0].Line != 1 || list[0].Column != 6):
			t.Errorf("%s: got %v, want one %s at 1:6", name, list, code)
		}
	}
}

func TestLoadRoot(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"a/tasks/t.star": "load(\"//lib/x.star\", \"x\")\nload(\"y.star\", \"y\")\n" + plainTask,
		"a/tasks/y.star": "y = 1\n",
		"a/lib/x.star":   "x = 1\n",
		"b/.keep":        "",
	})
	for _, tt := range []struct {
		cwd, file, root string
		want            []string // names of the files; nil is an error
	}{
		{"a", "tasks/t.star", "", []string{"lib/x.star", "tasks/t.star", "tasks/y.star"}},
		{"a", "./tasks/t.star", "", []string{"./tasks/t.star", "lib/x.star", "tasks/y.star"}},
		{"a/tasks", "t.star", "..", []string{"../lib/x.star", "t.star", "y.star"}},
		{"a", dir + "/a/tasks/t.star", "", []string{dir + "/a/lib/x.star", dir + "/a/tasks/t.star", dir + "/a/tasks/y.star"}},
		{"b", "../a/tasks/t.star", "../a", []string{"../a/lib/x.star", "../a/tasks/t.star", "../a/tasks/y.star"}},
		{"b", "../a/tasks/t.star", "", nil}, // the root is the file's own folder
		{"a/tasks", "t.star", "", nil},      // the root is the current directory
		{"a", "tasks/t.star", "lib", nil},   // the file is not inside
		{"a", "tasks/t.star", "nowhere", nil} /* nor is it here */} {
		t.Chdir(filepath.Join(dir, tt.cwd))
		m, list := module.Load(tt.file, &module.Options{Root: tt.root})
		if m == nil {
			if tt.want != nil {
				t.Errorf("%s in %s with root %q: got %v", tt.file, tt.cwd, tt.root, list)
			}
			continue
		}
		if got := slices.Sorted(maps.Keys(m.Sources)); !slices.Equal(got, tt.want) {
			t.Errorf("%s in %s with root %q: got the files %v, want %v", tt.file, tt.cwd, tt.root, got, tt.want)
		}
		again, list := module.Again(m.File, m.Sources, module.Options{Root: m.Root})
		if again == nil {
			t.Errorf("%s in %s with root %q: not loaded again from its sources: %v", tt.file, tt.cwd, tt.root, list)
		}
	}
}

// runBody runs a module's body without a workspace.
func runBody(m *module.Module, params string) (string, error) {
	p, list := m.Task.CheckParams(json.RawMessage(params))
	if len(list) > 0 {
		return "", list
	}
	out, _, err := engine.InProcess{}.Run(context.Background(), m, engine.Call{Params: p})
	return string(out), err
}

func TestLoadSourcesNeedsNoDisk(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"task.star": "\xef\xbb\xbfload(\"lib/x.star\", \"half\")\n" + `task(name = "a", params = schema(n = int))

def run(params):
    return {"n": half(params.n)}
`,
		"lib/x.star": "def half(n):\n    return 10 // n\n",
	})
	m, list := module.Load("task.star", nil)
	if m == nil {
		t.Fatal(list)
	}
	if err := os.RemoveAll(filepath.Join(dir, "lib")); err != nil {
		t.Fatal(err)
	}
	again, list := module.Again(m.File, m.Sources, module.Options{Root: m.Root})
	if again == nil {
		t.Fatal(list)
	}
	if got, err := runBody(again, `{"n": 5}`); got != `{"n":2}` || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	_, first := runBody(m, `{"n": 0}`)
	_, second := runBody(again, `{"n": 0}`)
	const want = "lib/x.star:2:15: division by zero"
	if first.Error() != want || second.Error() != want {
		t.Errorf("got %q and %q, want both %q", first, second, want)
	}
	if _, list := module.Again("task.star", map[string][]byte{"task.star": m.Sources["task.star"]}, module.Options{Root: "."}); len(list) != 1 || list[0].Code != "P1402" {
		t.Errorf("with a file missing: got %v, want one P1402", list)
	}
}

func TestLoadedModuleIsFrozen(t *testing.T) {
	writeFiles(t, map[string]string{
		"task.star": `load("lib.star", "SHARED", "grow")
task(name = "a", params = schema(n = int))
OWN = {"list": []}

def run(params):
    if params.n == 0:
        OWN["list"].append(1)
    elif params.n == 1:
        grow()
    elif params.n == 2:
        SHARED.append(3)
    return {"own": OWN, "shared": SHARED}
`,
		"lib.star": "SHARED = [1]\n_HIDDEN = {}\n\ndef grow(to = []):\n    _HIDDEN[\"a\"] = 1\n",
	})
	m, list := module.Load("task.star", nil)
	if m == nil {
		t.Fatal(list)
	}
	for n := range 3 {
		if _, err := runBody(m, fmt.Sprintf(`{"n": %d}`, n)); err == nil || !strings.Contains(err.Error(), "cannot be changed") {
			t.Errorf("n = %d: got %v, want an error: nothing may be left behind", n, err)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				if got, err := runBody(m, `{"n": 9}`); got != `{"own":{"list":[]},"shared":[1]}` || err != nil {
					t.Errorf("got %s, %v", got, err)
				}
				runBody(m, `{"n": 0}`) // diagnoses at the same time
			}
		})
	}
	group.Wait()
}

func TestLoadReportsAllFiles(t *testing.T) {
	writeFiles(t, map[string]string{
		"task.star": "load(\"a.star\", \"x\")\nload(\"b.star\", \"y\")\nload(\"c.star\", \"z\")\n" + plainTask + "N = nothing_like_it\n",
		"a.star":    "import os\nx = f\"{1}\"\n",
		"b.star":    "load(\"d.star\", \"q\")\ny = undefined_here\nz = also_undefined\n",
		"d.star":    "class X:\n",
	})
	_, list := module.Load("task.star", nil)
	var got []string
	for _, d := range list {
		got = append(got, fmt.Sprintf("%s:%d %s", d.File, d.Line, d.Code))
	}
	want := []string{"task.star:3 P1402", "task.star:8 P1201", "a.star:1 P1103", "a.star:2 P1101", "b.star:2 P1201", "b.star:3 P1201", "d.star:1 P1104"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLoadTakesItsTime: sources that are made to exhaust a stack or the time of
// whoever checks them. There is no bound on the time in the test itself: what
// hangs, and what is quadratic at this size, runs into the time-out of the suite.
func TestLoadTakesItsTime(t *testing.T) {
	const size = 1 << 17 // what is quadratic takes minutes at this size already
	fill := func(before, part, after string) string {
		return before + strings.Repeat(part, (size-len(before)-len(after))/len(part)) + after
	}
	many := map[string][]byte{"task.star": []byte("load(\"f1.star\", \"x\")\n" + plainTask)}
	for i := 1; i < 1000; i++ {
		many[fmt.Sprintf("f%d.star", i)] = fmt.Appendf(nil, "load(\"f%d.star\", \"x\")\n", i+1)
	}
	for name, files := range map[string]map[string][]byte{
		"operators":  {"task.star": []byte(fill("x = 1", "+1", "\n"))},
		"dots":       {"task.star": []byte(fill("x = len", ".a", "\n"))},
		"calls":      {"task.star": []byte(fill("x = len", "()", "\n"))},
		"subscripts": {"task.star": []byte(fill("x = len", "[0]", "\n"))},
		"branches":   {"task.star": []byte(fill("def f(x):\n if x: pass\n", " elif x: pass\n", ""))},
		"nested":     {"task.star": []byte(fill("x = ", "(", ""))},
		"minuses":    {"task.star": []byte(fill("x = ", "-", "1\n"))},
		"lambdas":    {"task.star": []byte(fill("x = ", "lambda:", "1\n"))},
		"blocks":     {"task.star": []byte(blocks(900))},
		"undefined":  {"task.star": []byte(fill("", "q\n", ""))},
		"names":      {"task.star": []byte(names(10_000))},
		"long name":  {"task.star": []byte(fill("", "x", " = 1\ny = z"))},
		"habits":     {"task.star": []byte(fill("", "import os\n", ""))},
		"f-strings":  {"task.star": []byte(fill("x = [", "f'',", "]"))},
		"rows":       {"task.star": []byte(fill(plainTask+"_ROWS = [\n", "[1, \"a\"],\n", "]\n"))},
		"one line":   {"task.star": []byte(fill(plainTask+"_ROWS = [", "1,", "]\n"))},
		"comments":   {"task.star": []byte(fill(plainTask, "# perago: ignore=P5012\n", ""))},
		"files":      many,
		"steps":      {"task.star": []byte(plainTask + "X = [1 for a in range(1 << 40)]\n")},
		"growth":     {"task.star": []byte(plainTask + "def f(n):\n    x = []\n    for i in range(n):\n        x = [x]\n    return x\nX = f(1 << 40)\n")},
	} {
		t.Run(name, func(t *testing.T) {
			m, list := module.Again("task.star", files, module.Options{Root: "."})
			if m != nil {
				list = module.Lint(m)
			}
			if len(list) > 500 {
				t.Errorf("got %d diagnostics", len(list))
			}
			var b bytes.Buffer
			if err := diag.WriteText(&b, list, diag.TextOptions{}); err != nil || b.Len() > 1<<20 {
				t.Errorf("wrote %d bytes, %v", b.Len(), err)
			}
			for _, d := range list {
				if d.Code == "P4999" {
					t.Error(d.Message)
				}
			}
		})
	}
}

// names defines n names and uses n others.
func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "n%d = m%d\n", i, i)
	}
	return b.String()
}

// blocks nests functions n deep.
func blocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "def f():\n")
	}
	return b.String() + strings.Repeat(" ", n) + "pass\n"
}

// FuzzLoad: whatever a file holds, loading it ends, and what it has to say has a
// place in the file and no word of Go's.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("../../testdata/module/*.star")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<14 {
			return // too long to be of interest
		}
		m, list := module.Again("task.star", map[string][]byte{"task.star": text}, module.Options{Root: "."})
		if m != nil {
			list = module.Lint(m)
		}
		lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(string(text), "?")), "\n")
		for _, d := range list {
			if d.Code == "P4999" || d.Code == "P1200" {
				t.Errorf("%s: %s", d.Code, d.Message)
			}
			if _, ok := diag.Explain(d.Code); !ok {
				t.Errorf("%s has no story", d.Code)
			}
			if d.Line < 1 || d.Line > len(lines) || d.Column < 1 {
				t.Errorf("%s at %d:%d, of %d lines", d.Code, d.Line, d.Column, len(lines))
			} else if d.Source != "" && d.Column > len([]rune(d.Source))+1 {
				t.Errorf("%s at column %d of %q", d.Code, d.Column, d.Source)
			}
		}
		if err := diag.WriteText(&bytes.Buffer{}, list, diag.TextOptions{Color: true}); err != nil {
			t.Error(err)
		}
	})
}

// Nothing but a *.star file below the root is ever read as one, whatever its
// name or a link says: what cannot be parsed has its lines shown.
func TestLoadReadsNoOtherFiles(t *testing.T) {
	const marker = "hush-hush-hush"
	secret := "KEY = \"" + marker + "\"\nx = 1\n" // what load could read
	broken := "KEY=" + marker + " x\n"            // what a complaint could show
	use := func(asked string) string { return fmt.Sprintf("load(%q, \"KEY\")\n", asked) + plainTask }
	files := map[string]string{
		".env": secret, ".broken": broken, "keys": secret, "keys.json": secret, ".hidden/x.star": secret, "lib/.x.star": secret,
		"broken.txt": broken, "fine/x.star": plainTask, "lib/KEY.star": secret,
		"..2026/t.star": plainTask, "tasks/through.star": strings.Replace(use("//lib/indirect.star"), "KEY", "x", 1), "lib/indirect.star": "load(\"//.env\", \"KEY\")\nx = 1\n",
	}
	for i, asked := range []string{"//.env", "../.env", "../keys", "//keys.json", "//.hidden/x.star", "../.hidden/x.star", "//lib/.x.star",
		"//lib/../.env", "link.star", "env.star", "folder/x.star"} {
		files[fmt.Sprintf("project/tasks/load%02d.star", i)] = use(asked)
	}
	dir := writeFiles(t, map[string]string{"outside/secret.star": broken, "outside/plain": broken})
	for name, text := range files {
		path := filepath.Join(dir, "project", strings.TrimPrefix(name, "project/"))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"tasks/link.star": "../keys", "tasks/env.star": "../.env", "tasks/folder": "../.hidden",
		"out.star": "../outside/secret.star", "plain.star": filepath.Join(dir, "outside/plain"), "text.star": "broken.txt",
		"dotted.star": ".broken", "chain.star": "out.star", "environ.star": "/proc/self/environ", "passwd.star": "/etc/passwd",
		"away": "../outside", "good.star": "fine/x.star", "..data": "..2026", "mounted.star": "..data/t.star", "hidden.star": ".hidden/x.star",
	} {
		if err := os.Symlink(to, filepath.Join(dir, "project", link)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(dir, "project"))
	bad := []string{"out.star", "plain.star", "text.star", "dotted.star", "chain.star", "environ.star", "passwd.star", "away/secret.star",
		"hidden.star", ".env", "broken.txt", "keys.json", "tasks/through.star", filepath.Join(dir, "project", "out.star")}
	loads, err := filepath.Glob("tasks/load*.star")
	if err != nil || len(loads) != 11 {
		t.Fatal(loads, err)
	}
	for _, name := range append(bad, loads...) {
		m, list := module.Load(name, nil)
		if m != nil || len(list) != 1 || !slices.Contains([]diag.Code{"P1401", "P1302"}, list[0].Code) {
			t.Errorf("%s: got %v, want one P1401 or P1302", name, list)
		}
		var told bytes.Buffer
		diag.WriteText(&told, list, diag.TextOptions{})
		if strings.Contains(told.String(), marker) || strings.Contains(told.String(), "root:") {
			t.Errorf("%s: lines of another file are shown:\n%s", name, &told)
		}
	}
	for _, name := range []string{"good.star", "mounted.star", "fine/x.star"} {
		if m, list := module.Load(name, nil); m == nil {
			t.Errorf("%s: got %v, want a module", name, list)
		}
	}
}
