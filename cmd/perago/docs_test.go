package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
