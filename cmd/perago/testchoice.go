package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"perago/engine/tasktest"
	"perago/starlib/diag"
)

// testChoice are the tests of one file that are to run.
type testChoice struct {
	file  string
	names []string // nil: all
}

// chooseTests reads the arguments of `perago test`: files, folders, and tests of
// a file, as file_test.star::test_name.
func chooseTests(args []string) ([]testChoice, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	var chosen []testChoice
	for _, arg := range args {
		path, name, named := strings.Cut(arg, "::")
		found, err := tasktest.Files([]string{path})
		if err != nil {
			return nil, fileError("test", err)
		}
		if named && (name == "" || len(found) != 1 || found[0] != path) {
			return nil, usageError("", "%s: want a test file and the name of a test, as file_test.star::test_name", diag.Shorten(arg))
		}
		for _, file := range found {
			if !strings.HasSuffix(file, tasktest.Suffix) {
				return nil, usageError("its tests stand beside it: `perago test "+strings.TrimSuffix(file, ".star")+tasktest.Suffix+"`",
					"%s is no test file, whose name ends in %s", file, tasktest.Suffix)
			}
			var names []string
			if named {
				names = []string{name}
			}
			chosen = choose(chosen, testChoice{file, names})
		}
	}
	return chosen, nil
}

// choose adds to what is chosen: a file that comes again runs once.
func choose(chosen []testChoice, more testChoice) []testChoice {
	i := slices.IndexFunc(chosen, func(c testChoice) bool { return filepath.Clean(c.file) == filepath.Clean(more.file) })
	switch {
	case i < 0:
		return append(chosen, more)
	case chosen[i].names == nil || more.names == nil:
		chosen[i].names = nil
	case !slices.Contains(chosen[i].names, more.names[0]):
		chosen[i].names = append(chosen[i].names, more.names...)
	}
	return chosen
}

const (
	maxRemembered      = 1000 // test files of which failed tests are remembered
	maxRememberedNames = 1000 // of one file
)

// failedTests remembers which tests failed when they ran last: a file for each
// test file, in the user's cache folder.
type failedTests struct{ dir string }

// remembered is one such file.
type remembered struct {
	File   string   `json:"file"`   // absolute
	Failed []string `json:"failed"` // "": the file did not load
}

func openFailedTests() (*failedTests, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, environmentError("set XDG_CACHE_HOME", "which tests failed last is not known: %w", err)
	}
	return &failedTests{filepath.Join(base, "perago", "last-failed")}, nil
}

// path is where the failed tests of a file are remembered.
func (m *failedTests) path(file string) (path, abs string, err error) {
	if abs, err = filepath.Abs(file); err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(m.dir, hex.EncodeToString(sum[:16])+".json"), abs, nil
}

// failed are the tests of a file that failed last. What cannot be read counts as
// none: it is a cache.
func (m *failedTests) failed(file string) []string {
	path, abs, err := m.path(file)
	if err != nil {
		return nil
	}
	text, err := os.ReadFile(path)
	var r remembered
	if err != nil || json.Unmarshal(text, &r) != nil || r.File != abs {
		return nil
	}
	return r.Failed
}

// failedOf are those of the chosen tests that failed last.
func (m *failedTests) failedOf(chosen []testChoice) []testChoice {
	var failed []testChoice
	for _, c := range chosen {
		names := m.failed(c.file)
		if slices.Contains(names, "") {
			failed = append(failed, c) // it did not load: whatever is in it
			continue
		}
		names = slices.DeleteFunc(names, func(name string) bool { return c.names != nil && !slices.Contains(c.names, name) })
		if len(names) > 0 {
			failed = append(failed, testChoice{c.file, names})
		}
	}
	return failed
}

// note remembers what became of the tests of a file; all says that it ran whole.
// Else a test that did not run stays what it was. Where nothing can be written,
// nothing is remembered.
func (m *failedTests) note(file string, results []tasktest.Result, all bool) {
	path, abs, err := m.path(file)
	if err != nil {
		return
	}
	failed := m.failed(file)
	before := slices.Clone(failed)
	failed = slices.DeleteFunc(failed, func(name string) bool { return all || name == "" && len(results) > 0 })
	for _, r := range results {
		failed = slices.DeleteFunc(failed, func(name string) bool { return name == r.Name })
		if !r.Passed() && len(failed) < maxRememberedNames {
			failed = append(failed, r.Name)
		}
	}
	switch {
	case slices.Equal(before, failed):
	case len(failed) == 0:
		os.Remove(path)
	default:
		text, err := json.Marshal(remembered{abs, failed})
		if err == nil && os.MkdirAll(m.dir, 0o700) == nil && replaceFile(path, text, 0o600) == nil {
			m.forget()
		}
	}
}

// forget keeps the memory within its bound: the oldest files go.
func (m *failedTests) forget() {
	entries, err := os.ReadDir(m.dir)
	if err != nil || len(entries) <= maxRemembered {
		return
	}
	age := func(e os.DirEntry) int64 {
		info, err := e.Info()
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(age(a), age(b)) })
	for _, e := range entries[:len(entries)-maxRemembered] {
		os.Remove(filepath.Join(m.dir, e.Name()))
	}
}
