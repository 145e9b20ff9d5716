package workspace

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"perago/workspace/storage"
)

func TestGuards(t *testing.T) {
	ctx := context.Background()
	files := map[string]string{"raw/a.csv": "1", "raw/b.csv": "2", "raw/x/c.csv": "3", "both": "1", "both/x": "2", "m.json": "{}", "_perago/x": "1", "marker/": "", "h/x": "1", "h/x/evil.exe": "2", "n/e\nvil.com": "3"}
	must := func(g Guard, err error) Guard {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for _, c := range []struct {
		guard Guard
		text  string // as an author writes it
		fails string // "" holds; "found | wanted"
	}{
		{must(RequireFile("raw/a.csv")), `require_file("raw/a.csv")`, ""},
		{must(RequireFile("raw/n.csv")), `require_file("raw/n.csv")`, "no such file | a file"},
		{must(RequireFile("raw")), `require_file("raw")`, "a folder | a file"},
		{must(RequireFile("m.json/x")), `require_file("m.json/x")`, "no such file | a file"},
		{must(RequireFile("both")), `require_file("both")`, "is the name of a file and of a folder at once | a file"},
		{must(RequireFile("_perago/x")), `require_file("_perago/x")`, "no such file | a file"},
		{must(RequireDir("raw")), `require_dir("raw")`, ""},
		{must(RequireDir("raw/x")), `require_dir("raw/x")`, ""},
		{must(RequireDir("made")), `require_dir("made")`, ""},
		{must(RequireDir("out")), `require_dir("out")`, "no such folder | a folder with something in it"},
		{must(RequireDir("marker")), `require_dir("marker")`, "no such folder | a folder with something in it"},
		{must(RequireDir("m.json")), `require_dir("m.json")`, "a file | a folder with something in it"},
		{must(RequireDir("both")), `require_dir("both")`, "is the name of a file and of a folder at once | a folder with something in it"},
		{must(RequireGlob("raw/**/*.csv", 1, Unbounded)), `require_glob("raw/**/*.csv")`, ""},
		{must(RequireGlob("raw/**/*.csv", 3, 3)), `require_glob("raw/**/*.csv", min_count = 3, max_count = 3)`, ""},
		{must(RequireGlob("raw/**/*.csv", 4, Unbounded)), `require_glob("raw/**/*.csv", min_count = 4)`, "3 files | at least 4 files"},
		{must(RequireGlob("raw/*.csv", 0, 1)), `require_glob("raw/*.csv", min_count = 0, max_count = 1)`, `2 files: "raw/a.csv", "raw/b.csv" | at most 1 file`},
		{must(RequireGlob("none/*", 1, Unbounded)), `require_glob("none/*")`, "0 files | at least 1 file"},
		{must(RequireGlob("both", 1, Unbounded)), `require_glob("both")`, "is the name of a file and of a folder at once | at least 1 file"},
		{must(ForbidGlob("**/*.tmp")), `forbid_glob("**/*.tmp")`, ""},
		{must(ForbidGlob("*.json")), `forbid_glob("*.json")`, `1 file: "m.json" | no file`},
		{must(ForbidGlob("raw/**")), `forbid_glob("raw/**")`, `3 files: "raw/a.csv", "raw/b.csv", "raw/x/c.csv" | no file`},
		{must(ForbidGlob("**/*.exe")), `forbid_glob("**/*.exe")`, `1 file: "h/x/evil.exe", left out of the view: the file API cannot name it | no file`},
		{must(ForbidGlob("h/*")), `forbid_glob("h/*")`, `1 file: "h/x", left out of the view: the file API cannot name it | no file`},
		{must(ForbidGlob("h/x/evil.exe")), `forbid_glob("h/x/evil.exe")`, "is the name of a file and of a folder at once | no file"},
		{must(ForbidGlob("n/*.com")), `forbid_glob("n/*.com")`, `1 file: "n/e\nvil.com", left out of the view: the file API cannot name it | no file`},
		{must(ForbidGlob("marker/**")), `forbid_glob("marker/**")`, ""},
		{must(ForbidGlob("_perago/*")), `forbid_glob("_perago/*")`, ""},
	} {
		o := openOverlay(t, &shelf{files: files}, Spec{})
		if err := o.Mkdir(ctx, "made"); err != nil {
			t.Fatal(err)
		}
		if got := c.guard.String(); got != c.text {
			t.Errorf("the guard is written %s, want %s", got, c.text)
		}
		failures, err := CheckGuards(ctx, o, []Guard{c.guard})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
		got := ""
		if len(failures) == 1 {
			got = failures[0].Found + " | " + failures[0].Wanted
		}
		if got != c.fails {
			t.Errorf("%s: got %q, want %q", c.text, got, c.fails)
		}
	}
}

func TestGuardsReportAll(t *testing.T) {
	a, _ := RequireFile("a")
	b, _ := RequireFile("b")
	c, _ := RequireDir("c")
	o := openOverlay(t, &shelf{files: map[string]string{"b": ""}}, Spec{})
	failures, err := CheckGuards(context.Background(), o, []Guard{a, b, c})
	if err != nil || len(failures) != 2 || failures[0].Guard.Path != "a" || failures[1].Guard.Path != "c" {
		t.Errorf("got %v, %v, want a and c", failures, err)
	}
	if got, want := failures[0].Error(), `require_file("a"): got no such file, want a file`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// downStore answers nothing.
type downStore struct{ shelf }

var errDown = errors.New("connection refused")

func (*downStore) List(context.Context, string, string, string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) { yield(storage.Object{}, errDown) }
}

func TestGuardsOfAStoreThatIsDown(t *testing.T) {
	g, _ := RequireGlob("raw/*", 1, Unbounded)
	f, _ := RequireFile("raw")
	for _, guard := range []Guard{g, f} {
		o := openOverlay(t, &downStore{}, Spec{})
		failures, err := CheckGuards(context.Background(), o, []Guard{guard})
		if !errors.Is(err, errDown) || len(failures) > 0 || !strings.Contains(err.Error(), guard.String()) {
			t.Errorf("%s: got %v, %v", guard, failures, err)
		}
	}
}

func TestBadGuards(t *testing.T) {
	for _, c := range []struct {
		try  func() error
		word string
	}{
		{func() error { _, err := RequireFile(""); return err }, "empty"},
		{func() error { _, err := RequireFile("C:/x"); return err }, "drive"},
		{func() error { _, err := RequireDir("/x"); return err }, "absolute"},
		{func() error { _, err := RequireDir("a/"); return err }, "slash"},
		{func() error { _, err := RequireGlob("[", 1, 2); return err }, "without"},
		{func() error { _, err := ForbidGlob("a**"); return err }, "segment"},
		{func() error { _, err := RequireGlob("*", -1, 2); return err }, "min_count -1"},
		{func() error { _, err := RequireGlob("*", 1, -2); return err }, "max_count -2"},
		{func() error { _, err := RequireGlob("*", 3, 2); return err }, "max_count 2 is below min_count 3"},
	} {
		if err := c.try(); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("got %v, want %q", err, c.word)
		}
	}
}
