package perago

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayImport is the plan of docs/architecture.md, "Who may import whom", as a
// table: for every package of this module, the packages of this module that its
// code (tests apart) may import, one a line and sorted. A package that is not here
// fails the test.
var mayImport = map[string][]string{
	"perago": {
		"perago/engine",
		"perago/engine/isolate",
		"perago/engine/logs",
		"perago/engine/module",
		"perago/engine/queue",
		"perago/engine/worker",
		"perago/secret",
		"perago/starlib",
		"perago/starlib/diag",
		"perago/workspace",
		"perago/workspace/attempts",
		"perago/workspace/cache",
		"perago/workspace/folder",
		"perago/workspace/lakefs",
		"perago/workspace/publish",
		"perago/workspace/storage",
	},
	"perago/cmd/perago/compare": {
		"perago/starlib/diag",
		"perago/workspace",
		"perago/workspace/storage",
	},
	"perago/cmd/perago/faults": {},
	"perago/cmd/perago/layout": {
		"perago/starlib/diag",
	},
	"perago/engine": {
		"perago/engine/heap",
		"perago/engine/logs",
		"perago/engine/module",
		"perago/engine/queue",
		"perago/panics",
		"perago/starlib",
		"perago/starlib/diag",
		"perago/starlib/jsontext",
		"perago/starlib/schema",
		"perago/workspace",
		"perago/workspace/attempts",
		"perago/workspace/cache",
		"perago/workspace/publish",
		"perago/workspace/storage",
		"perago/workspace/trace",
	},
	"perago/engine/conductor": {
		"perago/engine/queue",
		"perago/secret",
	},
	"perago/engine/heap": {},
	"perago/engine/isolate": {
		"perago/engine",
		"perago/engine/module",
		"perago/panics",
		"perago/starlib",
		"perago/starlib/diag",
		"perago/starlib/jsontext",
		"perago/starlib/schema",
		"perago/starlib/statement",
		"perago/workspace",
		"perago/workspace/glob",
		"perago/workspace/paths",
		"perago/workspace/storage",
	},
	"perago/engine/logs": {
		"perago/engine/queue",
		"perago/starlib",
		"perago/starlib/diag",
		"perago/workspace/publish",
	},
	"perago/engine/module": {
		"perago/engine/heap",
		"perago/starlib",
		"perago/starlib/diag",
		"perago/starlib/lint",
	},
	"perago/engine/queue": {},
	"perago/engine/queuetest": {
		"perago/engine/queue",
	},
	"perago/engine/tables": {
		"perago/engine/isolate",
		"perago/starlib/diag",
		"perago/starlib/statement",
	},
	"perago/engine/tasktest": {
		"perago/engine",
		"perago/engine/module",
		"perago/engine/queue",
		"perago/starlib",
		"perago/starlib/diag",
		"perago/workspace",
		"perago/workspace/attempts",
		"perago/workspace/folder",
		"perago/workspace/glob",
		"perago/workspace/localfile",
		"perago/workspace/memory",
		"perago/workspace/paths",
		"perago/workspace/publish",
		"perago/workspace/storage",
	},
	"perago/engine/tasktest/coverage": {
		"perago/engine/module",
		"perago/engine/tasktest",
		"perago/starlib/diag",
	},
	"perago/engine/worker": {
		"perago/engine",
		"perago/engine/logs",
		"perago/engine/module",
		"perago/engine/queue",
		"perago/panics",
		"perago/starlib",
		"perago/workspace/storage",
	},
	"perago/panics": {},
	"perago/secret": {},
	"perago/starlib": {
		"perago/panics",
		"perago/starlib/diag",
		"perago/starlib/exact",
		"perago/starlib/jsonschema",
		"perago/starlib/jsontext",
		"perago/starlib/schema",
		"perago/starlib/statement",
		"perago/workspace",
		"perago/workspace/glob",
		"perago/workspace/paths",
		"perago/workspace/storage",
	},
	"perago/starlib/diag":  {},
	"perago/starlib/exact": {},
	"perago/starlib/jsonschema": {
		"perago/starlib/diag",
		"perago/starlib/jsontext",
	},
	"perago/starlib/jsontext": {
		"perago/starlib/diag",
	},
	"perago/starlib/lint": {
		"perago/starlib",
		"perago/starlib/diag",
		"perago/starlib/schema",
		"perago/workspace",
		"perago/workspace/glob",
		"perago/workspace/paths",
	},
	"perago/starlib/schema": {
		"perago/starlib/diag",
		"perago/starlib/jsontext",
	},
	"perago/starlib/starlibtest": {
		"perago/starlib",
		"perago/starlib/diag",
	},
	"perago/starlib/statement": {},
	"perago/workspace": {
		"perago/panics",
		"perago/workspace/cache",
		"perago/workspace/glob",
		"perago/workspace/listing",
		"perago/workspace/localfile",
		"perago/workspace/paths",
		"perago/workspace/storage",
		"perago/workspace/trace",
	},
	"perago/workspace/attempts": {
		"perago/workspace/localfile",
		"perago/workspace/storage",
	},
	"perago/workspace/cache": {
		"perago/workspace/localfile",
	},
	"perago/workspace/fence": {
		"perago/workspace/storage",
	},
	"perago/workspace/folder": {
		"perago/workspace",
		"perago/workspace/localfile",
		"perago/workspace/paths",
		"perago/workspace/publish",
		"perago/workspace/storage",
	},
	"perago/workspace/glob": {
		"perago/workspace/paths",
	},
	"perago/workspace/lakefs": {
		"perago/secret",
		"perago/workspace/storage",
	},
	"perago/workspace/listing": {
		"perago/workspace/paths",
		"perago/workspace/storage",
	},
	"perago/workspace/localfile": {},
	"perago/workspace/memory": {
		"perago/workspace/fence",
		"perago/workspace/storage",
	},
	"perago/workspace/paths": {},
	"perago/workspace/publish": {
		"perago/panics",
		"perago/workspace",
		"perago/workspace/attempts",
		"perago/workspace/fence",
		"perago/workspace/glob",
		"perago/workspace/paths",
		"perago/workspace/storage",
		"perago/workspace/trace",
	},
	"perago/workspace/storage": {},
	"perago/workspace/storetest": {
		"perago/workspace",
		"perago/workspace/attempts",
		"perago/workspace/fence",
		"perago/workspace/glob",
		"perago/workspace/publish",
		"perago/workspace/storage",
	},
	"perago/workspace/trace": {},
	"perago/cmd/perago":      nil, // the shell: anything but the suites
}

// onlyImporter says which package alone may import a library.
var onlyImporter = map[string]string{
	"github.com/conductor-sdk/conductor-go": "perago/engine/conductor",
	"github.com/treeverse/lakefs":           "perago/workspace/lakefs",
	// C++ behind cgo: whatever links it is 59 MB larger and starts later.
	"github.com/duckdb": "perago/engine/tables",
	// It compiles its metaschemas when a program starts, and one starts for each body.
	"github.com/santhosh-tekuri/jsonschema": "tests",
}

func TestWhoMayImportWhom(t *testing.T) {
	for _, line := range listPackages(t, `{{.ImportPath}} {{join .Imports " "}}`) {
		fields := strings.Fields(line)
		pkg, imports := fields[0], fields[1:]
		allowed, known := mayImport[pkg]
		if !known {
			t.Errorf("%s is not in the table: say in docs/architecture.md what it is for, then add it", pkg)
			continue
		}
		for _, imp := range imports {
			if strings.HasPrefix(imp, "perago/") {
				checkOwn(t, pkg, imp, allowed)
			}
			for lib, only := range onlyImporter {
				if strings.HasPrefix(imp, lib) && pkg != only {
					t.Errorf("%s imports %s; only %s may", pkg, imp, only)
				}
			}
		}
	}
}

func checkOwn(t *testing.T, pkg, imp string, allowed []string) {
	t.Helper()
	if pkg == "perago/cmd/perago" {
		if strings.HasSuffix(imp, "test") && imp != "perago/engine/tasktest" {
			t.Errorf("%s imports %s, a suite for tests", pkg, imp)
		}
		return
	}
	if !slices.Contains(allowed, imp) {
		t.Errorf("%s imports %s; it may import only %v", pkg, imp, allowed)
	}
}

// TestRoomsAreThePackages holds the table "Rooms" of docs/architecture.md against
// the packages of this module: each has a row, and each row a package.
func TestRoomsAreThePackages(t *testing.T) {
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n## Rooms\n")
	rows, _, _ := strings.Cut(rest, "\n## ")
	if !found {
		t.Fatal("docs/architecture.md has no part with the title Rooms")
	}
	// Folders without a package, and modules of their own.
	others := []string{"tasks", "testdata", "e2e", "bench"}
	var rooms []string
	for line := range strings.Lines(rows) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		if strings.Contains(cells[1], "the root") {
			rooms = append(rooms, "perago")
			continue
		}
		for i, name := range strings.Split(cells[1], "`") {
			if name = strings.TrimSuffix(name, "/"); i%2 == 1 && !slices.Contains(others, name) {
				rooms = append(rooms, "perago/"+name)
			}
		}
	}
	packages := listPackages(t, "{{.ImportPath}}")
	for _, pkg := range packages {
		if !slices.Contains(rooms, pkg) {
			t.Errorf("%s has no row in the table Rooms of docs/architecture.md", pkg)
		}
	}
	for i, room := range rooms {
		if !slices.Contains(packages, room) {
			t.Errorf("the table Rooms of docs/architecture.md has %s, and there is no such package", room)
		}
		if slices.Contains(rooms[:i], room) {
			t.Errorf("the table Rooms of docs/architecture.md has %s twice", room)
		}
	}
}

// maxFiles is how many .go files a package may have, tests included. One that has
// more is several.
const maxFiles = 40

// TestPackagesAreSmall holds every package to maxFiles.
func TestPackagesAreSmall(t *testing.T) {
	for _, line := range listPackages(t, "{{.ImportPath}} {{.Dir}}") {
		pkg, dir, _ := strings.Cut(line, " ")
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pkg, len(files), err)
		}
		if len(files) > maxFiles {
			t.Errorf("%s has %d .go files, want at most %d", pkg, len(files), maxFiles)
		}
	}
}

// listPackages gives a line for each package of this module, as a template of
// go list says.
func listPackages(t *testing.T, template string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", template, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
