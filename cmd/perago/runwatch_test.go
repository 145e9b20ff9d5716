package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWatchesAreBounded: a folder with too many folders is refused, and says so.
func TestWatchesAreBounded(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b", "c"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	o := &runOptions{workspace: dir, given: map[string]bool{"workspace": true}}
	w, err := newWatcher(o, 5) // the folder, three in it, and the one it is in
	if err != nil {
		t.Fatal(err)
	}
	w.notify.Close()
	_, err = newWatcher(o, 4)
	if want := "--watch: there are more than 4 folders to watch"; err == nil || err.Error() != want || exitCode(err) != exitEnvironment {
		t.Errorf("got %v, want %s", err, want)
	}
}
