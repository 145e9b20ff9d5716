package workspace

import (
	"context"
	"fmt"
	"testing"

	"perago/workspace/glob"
	"perago/workspace/listing"
	"perago/workspace/storage"
)

// seen is a commit of so many objects of ordinary names, seen through a listing.
func seen(b *testing.B, n int) *Overlay {
	b.Helper()
	files := make(map[string]string, n)
	for i := range n {
		files[fmt.Sprintf("raw/2026/01/plays-%06d.csv", i)] = ""
	}
	o := NewOverlay(&shelf{files: files}, Ref{Repository: "r", Commit: "c"}, OverlayOptions{Spec: Spec{ReadOnly: true}})
	if got, err := o.Glob(context.Background(), "", glob.MustCompile("raw/**")); len(got) != n || err != nil {
		b.Fatal(len(got), err)
	}
	return o
}

func BenchmarkListing(b *testing.B) {
	const n = 100_000
	o := seen(b, n)
	ctx := context.Background()
	b.Run("glob", func(b *testing.B) {
		for b.Loop() {
			if got, err := o.Glob(ctx, "", glob.MustCompile("raw/**")); len(got) != n || err != nil {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("readdir", func(b *testing.B) {
		for b.Loop() {
			if got, err := o.ReadDir(ctx, "raw/2026/01"); len(got) != n || err != nil {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("stat", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i = (i + 7919) % n
			if _, err := o.Stat(ctx, fmt.Sprintf("raw/2026/01/plays-%06d.csv", i)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("build", func(b *testing.B) {
		objects := make([]storage.Object, n)
		for i := range objects {
			objects[i] = storage.Object{Path: fmt.Sprintf("raw/2026/01/plays-%06d.csv", i), Checksum: fmt.Sprintf("%032x", i), Hashed: true}
		}
		for b.Loop() {
			lb := listing.Builder{Commit: "c"}
			for _, o := range objects {
				if err := lb.Add(o); err != nil {
					b.Fatal(err)
				}
			}
			lb.Finish(ctx, nil)
		}
	})
}
