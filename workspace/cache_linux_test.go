package workspace

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// A file that was removed between its opening and its lock is no hit: it is in
// nobody's accounts, and two users of the key would hold two files. The link,
// through which a removed file can still be opened, stands for that moment.
func TestCacheDoesNotHandOutWhatWasRemoved(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	put(t, c, "k", 3)
	old, err := os.Open(c.path(hashOf("k")))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := os.Remove(old.Name()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", old.Fd()), old.Name()); err != nil {
		t.Fatal(err)
	}
	if has(c, "k", 3) {
		t.Error("a file that was removed is a hit")
	}
	f, hit, err := c.get(context.Background(), hashOf("k"), 3, func(f *os.File) error {
		_, err := f.WriteString("new")
		return err
	})
	if err != nil || hit {
		t.Fatalf("hit %t, %v; want it fetched again", hit, err)
	}
	defer f.Close()
	if info, err := os.Lstat(old.Name()); err != nil || !info.Mode().IsRegular() {
		t.Errorf("what is kept now is %v, %v; want a plain file", info, err)
	}
}
