package folder

import (
	"context"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"perago/workspace"
	"perago/workspace/cache"
	"perago/workspace/storage"
)

// grown runs do and says by how many bytes the heap grew at its largest: what it
// took of the system, which it does not give back.
func grown(t *testing.T, do func()) int64 {
	t.Helper()
	sys := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapSys)
	}
	runtime.GC()
	before := sys()
	do()
	return sys() - before
}

const mostMemory = 16 << 20

// TestLargeFile reads of a file of 1 GB, moves it and applies that.
func TestLargeFile(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "ws")
	fill(t, dir, map[string]string{"large": "", "small": "s"})
	if err := os.Truncate(filepath.Join(dir, "large"), 1<<30); err != nil {
		t.Fatal(err)
	}
	o := overlay(t, dir, workspace.Spec{})
	more := grown(t, func() {
		f, err := o.Open(ctx, "large")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		const part = 128 << 20
		if n, err := io.Copy(crc32.New(crc32.MakeTable(crc32.Castagnoli)), io.LimitReader(f, part)); n != part || err != nil {
			t.Fatalf("read %d bytes, %v", n, err)
		}
		if err := o.Rename(ctx, "large", "moved"); err != nil {
			t.Fatal(err)
		}
		if err := Apply(ctx, dir, o); err != nil {
			t.Fatal(err)
		}
	})
	if more > mostMemory {
		t.Errorf("the heap grew by %d bytes, at most %d is allowed", more, mostMemory)
	}
	info, err := os.Stat(filepath.Join(dir, "moved"))
	if err != nil || info.Size() != 1<<30 {
		t.Errorf("the file that was moved is %v, %v", info, err)
	}
	if upper, _ := os.ReadDir(filepath.Join(dir, "..", "files")); len(upper) > 0 {
		t.Errorf("a file that was read and moved was copied: %v", upper)
	}
}

// farAway is a store somewhere else that holds one object of zeros.
type farAway struct{ size int64 }

func (s farAway) List(context.Context, string, string, string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		yield(storage.Object{Path: "large", Size: s.size}, nil)
	}
}

func (s farAway) Open(context.Context, string, string, string) (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(zeros{}, s.size)), nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestLargeDownload fetches, appends to and compares an object without holding it.
func TestLargeDownload(t *testing.T) {
	ctx := context.Background()
	const size = 100 << 20
	cache, err := cache.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := workspace.NewOverlay(farAway{size}, workspace.Ref{Repository: "r", Commit: "c"}, workspace.OverlayOptions{Dir: t.TempDir(), Cache: cache})
	defer o.Close()
	more := grown(t, func() {
		f, err := o.Open(ctx, "large")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		d, err := o.Create(ctx, "large", workspace.Append)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := d.Commit(ctx); n != size || err != nil {
			t.Fatalf("the copy that is appended to has %d bytes, %v", n, err)
		}
		if list, err := o.Changes(ctx); len(list) > 0 || err != nil {
			t.Fatalf("nothing was appended, and the changes are %v, %v", list, err)
		}
	})
	if more > mostMemory {
		t.Errorf("the heap grew by %d bytes, at most %d is allowed", more, mostMemory)
	}
}
