package workspace

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"iter"
	"strings"
	"testing"

	"perago/workspace/cache"
	"perago/workspace/storage"
)

// twins are two contents with one MD5 (Wang and others, 2004).
func twins(t *testing.T) (a, b string) {
	t.Helper()
	const text = "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	other := []byte(string(raw))
	for _, i := range []int{19, 45, 59, 83, 109, 123} {
		other[i] ^= 0x80
	}
	if md5.Sum(raw) != md5.Sum(other) || string(raw) == string(other) {
		t.Fatal("these are no twins")
	}
	return string(raw), string(other)
}

// hashedShelf is one object, with the checksum that its content has.
type hashedShelf struct{ text, physical string }

func (s hashedShelf) List(_ context.Context, _, _, prefix string) iter.Seq2[storage.Object, error] {
	sum := md5.Sum([]byte(s.text))
	return func(yield func(storage.Object, error) bool) {
		if strings.HasPrefix("a", prefix) {
			yield(storage.Object{Path: "a", Size: int64(len(s.text)), Checksum: hex.EncodeToString(sum[:]), Hashed: true, Physical: s.physical}, nil)
		}
	}
}

func (s hashedShelf) Open(context.Context, string, string, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(s.text)), nil
}

// Two contents with one MD5 are two, in the cache and for what is a change.
func TestTwins(t *testing.T) {
	a, b := twins(t)
	dir := t.TempDir()
	open := func(server, commit, text, physical string) *Overlay {
		cache, err := cache.Open(dir, &cache.Options{Server: server})
		if err != nil {
			t.Fatal(err)
		}
		o := NewOverlay(hashedShelf{text, physical}, Ref{Repository: "r", Commit: commit}, OverlayOptions{Dir: t.TempDir(), Cache: cache})
		t.Cleanup(func() { o.Close() })
		return o
	}
	read := func(o *Overlay) string {
		f, err := o.Open(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if read(open("s", "c1", a, "1")) != a || read(open("s", "c2", b, "2")) != b {
		t.Error("one twin was read in place of the other")
	}
	// Another server that says the same of its object.
	if read(open("other", "c1", b, "1")) != b {
		t.Error("the content of one server was read as another's")
	}
	o := open("s", "c1", a, "1")
	for text, want := range map[string]int{a: 0, b: 1} {
		write(t, o, "a", text)
		changes, err := o.Changes(t.Context())
		if err != nil || len(changes) != want {
			t.Errorf("written as itself %t: got %v, %v", want == 0, changes, err)
		}
	}
}
