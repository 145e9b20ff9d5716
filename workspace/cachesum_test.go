package workspace

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What lies in the cache and is not what arrived is fetched again.
func TestCacheNoticesWhatIsNotWhatArrived(t *testing.T) {
	ctx := context.Background()
	key, other := hashOf("k"), hashOf("other")
	write := func(path, text string, mode os.FileMode) error {
		return errors.Join(os.Remove(path), os.WriteFile(path, []byte(text), mode))
	}
	for name, c := range map[string]struct {
		do func(path string, c *Cache) error
	}{
		"changed in place, its times set back": {do: func(path string, _ *Cache) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil { // not root
				os.Chmod(path, 0o600)
				f, err = os.OpenFile(path, os.O_WRONLY, 0)
			}
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("evil")
			return errors.Join(err, os.Chmod(path, 0o400), os.Chtimes(path, info.ModTime(), info.ModTime()))
		}},
		"another file": {do: func(path string, _ *Cache) error { return write(path, "evil", 0o400) }},
		"the place of another": {do: func(path string, c *Cache) error {
			return os.Rename(c.path(other), path)
		}},
		"writable":      {do: func(path string, _ *Cache) error { return os.Chmod(path, 0o600) }},
		"a second name": {do: func(path string, c *Cache) error { return os.Link(path, c.dir+"/second") }},
		"no sum":        {do: func(path string, _ *Cache) error { return unix.Removexattr(path, sumAttribute) }},
		"a symlink": {do: func(path string, c *Cache) error {
			return errors.Join(os.Rename(path, c.dir+"/x"), os.Symlink(c.dir+"/x", path))
		}},
		"no file at all": {do: func(path string, _ *Cache) error { return os.Remove(path) }},
	} {
		for _, same := range []bool{true, false} {
			first := newCache(t, t.TempDir(), 0)
			get := func(c *Cache, key, text string) (hit bool) {
				f, hit, err := c.get(ctx, key, 4, func(a *arrival) error {
					_, err := io.WriteString(a, text)
					return err
				})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				defer f.Close()
				if got, err := io.ReadAll(f); err != nil || string(got) != text {
					t.Errorf("%s: read %q, %v, want %q", name, got, err, text)
				}
				if _, err := f.WriteString("evil"); err == nil {
					t.Errorf("%s: what is handed out can be written to", name)
				}
				return hit
			}
			get(first, other, "evil")
			get(first, key, "good")
			if err := c.do(first.path(key), first); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			user := first
			if !same {
				user = newCache(t, first.dir, 0)
			}
			if hit := get(user, key, "good"); hit {
				t.Errorf("%s, used by the process that wrote it %t: a hit %t", name, same, hit)
			}
			if !get(user, key, "good") {
				t.Errorf("%s: what was fetched again is no hit", name)
			}
			if !get(newCache(t, first.dir, 0), key, "good") {
				t.Errorf("%s: what was fetched again is no hit for another process", name)
			}
		}
	}
}

// A file that was removed between its opening and its lock is no hit: it is in
// nobody's accounts, and two users of the key would hold two files.
func TestCacheDoesNotHandOutWhatWasRemoved(t *testing.T) {
	ctx := context.Background()
	c := newCache(t, t.TempDir(), 0)
	put(t, c, "k", 3)
	f, _ := c.open(ctx, hashOf("k"), 3)
	if f == nil {
		t.Fatal("it is not there")
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if c.isSound(ctx, f, hashOf("k"), 3) {
		t.Error("a file that was removed is a hit")
	}
}

// A file is read once in a process to verify it, and not by who wrote it.
func TestCacheVerifiesOnce(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	put(t, c, "k", 100)
	user, late := newCache(t, c.dir, 0), newCache(t, c.dir, 0)
	if !has(user, "k", 100) {
		t.Fatal("it is no hit for another process")
	}
	path := c.path(hashOf("k"))
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, who := range []*Cache{c, user} {
		if id, is := identify(f); !is || who.sound[hashOf("k")] != id {
			t.Error("it is not remembered")
		}
	}
	// Without the sum a file cannot be verified, and one that is remembered need not be.
	if err := unix.Removexattr(path, sumAttribute); err != nil {
		t.Fatal(err)
	}
	id, _ := identify(f)
	user.trust(hashOf("k"), id)
	used(t, user, "k", 1) // and to use it changes its times
	id, _ = identify(f)
	user.trust(hashOf("k"), id)
	for range 2 {
		if !has(user, "k", 100) {
			t.Error("it is verified again")
		}
	}
	if has(late, "k", 100) {
		t.Error("it is taken without a sum")
	}
}

// A file that takes long to verify does not outlast the attempt.
func TestCacheVerifyEndsWithItsContext(t *testing.T) {
	c := newCache(t, t.TempDir(), 0)
	put(t, c, "k", 100)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err := newCache(t, c.dir, 0).get(ctx, hashOf("k"), 100, func(*arrival) error {
		t.Error("it is fetched")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What arrived damaged and then whole has the sum of what is whole.
func TestCacheSumIsOfTheLastTry(t *testing.T) {
	s := &shelf{files: map[string]string{"a": "secret"}, hashed: true}
	tries := 0
	s.broken = func(_, body string) io.Reader {
		if tries++; tries == 1 {
			return strings.NewReader("x" + body[1:])
		}
		return strings.NewReader(body)
	}
	dir := t.TempDir()
	for range 2 {
		o := NewOverlay(s, Ref{Repository: "r", Commit: "c"}, OverlayOptions{Dir: t.TempDir(), Cache: newCache(t, dir, 0)})
		if got, err := tryRead(o, "a"); got != "secret" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		o.Close()
	}
	if tries != 2 {
		t.Errorf("fetched %d times, want one that is damaged and one that is whole", tries)
	}
}
