package diag

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCodesHaveStories holds the codes in the tree's Go files against the
// table: each that is used has a story, and each story is used.
func TestCodesHaveStories(t *testing.T) {
	used := usedCodes(t, "../..")
	stories := map[string]bool{}
	for _, s := range Stories() {
		stories[string(s.Code)] = true
		if where, ok := used[string(s.Code)]; !ok {
			t.Errorf("%s has a story, and nothing uses it (%s)", s.Code, where)
		}
	}
	for code, where := range used {
		if !stories[code] {
			t.Errorf("%s of %s has no story", code, where)
		}
	}
}

// usedCodes are the quoted codes of all Go files but tests and the table itself.
func usedCodes(t *testing.T, root string) map[string]string {
	t.Helper()
	quoted := regexp.MustCompile(`"(P\d{4})"`)
	used := map[string]string{}
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if e.IsDir() && strings.HasPrefix(name, ".") && p != root {
			return fs.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "codes") {
			return nil
		}
		text, err := os.ReadFile(p)
		for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = p
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(used) < 100 {
		t.Fatalf("found only %d codes", len(used))
	}
	return used
}

func TestStoriesAreWhole(t *testing.T) {
	var codes []string
	for _, s := range Stories() {
		codes = append(codes, string(s.Code))
		if s.Title == "" || s.Text == "" {
			t.Errorf("%s has no title or no text", s.Code)
		}
		if !regexp.MustCompile(`^P[1-5]\d{3}$`).MatchString(string(s.Code)) {
			t.Errorf("%s is no code", s.Code)
		}
	}
	if !slices.IsSorted(codes) {
		t.Errorf("the codes are not in order: %v", codes)
	}
	if unique := slices.Compact(slices.Clone(codes)); len(unique) != len(codes) {
		t.Error("a code is there twice")
	}
}

func TestExplain(t *testing.T) {
	story, ok := Explain("P1101")
	if !ok {
		t.Fatal("P1101 has no story")
	}
	want := `P1101: no f-strings

Text is put together by format, by % or by +. Both take what stands behind the
colon of an f-string: {:>10,.2f}, %10.2f.

    print(f"{n} rows")

    print("{} rows".format(n))
    print("%d rows" % n)
`
	if got := story.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, ok := Explain("P0000"); ok {
		t.Error("P0000 has a story")
	}
}
