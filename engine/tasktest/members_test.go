package tasktest

import (
	"os"
	"slices"
	"strings"
	"testing"

	"perago/engine"
)

// TestRows: the rows that `check` knows are what a test has, with its arguments,
// and stand in the docs.
func TestRows(t *testing.T) {
	x := &test{suite: &suite{}}
	has := map[string][]string{"t": x.value().(interface{ AttrNames() []string }).AttrNames(), "folder": fixture("").AttrNames()}
	run, err := x.outcome(nil, "a.star", engine.Result{Status: "FAILED"}, &fakeWorkspace{})
	if err != nil {
		t.Fatal(err)
	}
	has["outcome"] = run.(*outcome).AttrNames()
	page, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, row := range Rows() {
		kind, name, _ := strings.Cut(row.Name, ".")
		got[kind] = append(got[kind], name)
		if kind != "t" {
			continue
		}
		if !strings.Contains(string(page), "| `"+row.Signature()+"` |") {
			t.Errorf("docs/testing.md has no row `%s`", row.Signature())
		}
	}
	for kind, names := range has {
		slices.Sort(names)
		slices.Sort(got[kind])
		if !slices.Equal(got[kind], names) {
			t.Errorf("%s: got the rows %q, want %q", kind, got[kind], names)
		}
	}
}
