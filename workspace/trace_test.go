package workspace_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"testing"

	"perago/workspace"
	"perago/workspace/glob"
	"perago/workspace/memory"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// tracedPaths are few, so that what one writes another one asks for; some are
// above others, which no workspace can show together.
var tracedPaths = []string{"a.csv", "d/a.csv", "d/b.txt", "d/e/a.csv", "d/e/f", "g", "g/h", "out/x", "out/y.csv"}

var tracedPatterns = []string{"*", "**", "*.csv", "**/*.csv", "e/*", "d/*.txt", "a.csv"}

// tracedBody does what a seed decides, and what the answers so far decide. It
// returns what it learned.
func tracedBody(ctx context.Context, seed uint64, o *workspace.Overlay) string {
	state := sha256.Sum256(fmt.Append(nil, seed))
	learn := func(what ...any) { state = sha256.Sum256(fmt.Append(state[:], what...)) }
	pick := func(n int) int {
		learn("pick")
		return int(state[0]) % n
	}
	failed := func(err error) string {
		for _, known := range []error{fs.ErrNotExist, fs.ErrExist, storage.ErrIsFolder, storage.ErrNotFolder, storage.ErrUnnameable} {
			if errors.Is(err, known) {
				return known.Error()
			}
		}
		return fmt.Sprint(err != nil)
	}
	write := func(p string, mode workspace.WriteMode) error {
		d, err := o.Create(ctx, p, mode)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.File, "%x", state[:3])
		_, err = d.Commit(ctx)
		return err
	}
	for range 1 + pick(6) {
		p, q := tracedPaths[pick(len(tracedPaths))], tracedPaths[pick(len(tracedPaths))]
		folder := path.Dir(p)
		if folder == "." {
			folder = ""
		}
		switch pick(12) {
		case 0:
			f, err := o.Open(ctx, p)
			learn(failed(err))
			if err == nil {
				data, _ := io.ReadAll(f)
				f.Close()
				learn(string(data))
			}
		case 1:
			info, err := o.Stat(ctx, p)
			learn(info.Folder, info.Size, failed(err))
		case 2:
			info, err := o.Find(ctx, folder)
			learn(info.Folder, failed(err))
		case 3:
			infos, err := o.ReadDir(ctx, folder)
			for _, i := range infos {
				learn(i.Path, i.Folder)
			}
			learn(failed(err))
		case 4, 5:
			g, err := glob.Compile(tracedPatterns[pick(len(tracedPatterns))])
			if err != nil {
				panic(err)
			}
			found, err := o.Glob(ctx, folder, g)
			learn(found, failed(err))
		case 6:
			learn(failed(write(p, workspace.Replace)))
		case 7:
			learn(failed(write(p, workspace.Append)))
		case 8:
			learn(failed(o.Remove(ctx, p)))
		case 9:
			learn(failed(o.RemoveTree(ctx, folder)))
		case 10:
			if pick(2) == 0 {
				p, q = folder, path.Dir(q)
			}
			learn(failed(o.Copy(ctx, p, q)))
		case 11:
			if pick(2) == 0 {
				learn(failed(o.Mkdir(ctx, p)))
			} else {
				learn(failed(o.Rename(ctx, p, q)))
			}
		}
	}
	return hex.EncodeToString(state[:])
}

// left is what an attempt leaves on a commit: the whole tree.
func left(t *testing.T, store *memory.Store, o *workspace.Overlay, tree map[string]string) map[string]string {
	t.Helper()
	staged, err := o.Staged(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after := maps.Clone(tree)
	for _, s := range staged {
		switch {
		case s.Op == storage.Deleted:
			delete(after, s.Path)
		case s.FromCommit != "":
			after[s.Path] = contentAt(t, store, s.FromCommit, s.From)
		case s.From != "":
			after[s.Path] = tree[s.From]
		default:
			f, err := s.Open()
			if err != nil {
				t.Fatal(err)
			}
			data, _ := io.ReadAll(f)
			f.Close()
			after[s.Path] = string(data)
		}
	}
	return after
}

// A commit that gives the same answers gives the same attempt; and where nothing
// clashes, the change of the attempt on top of what others did is what the attempt
// would have made there.
func TestTraceDecidesTheAttempt(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	held, clear, clashed := 0, 0, 0
	const cases = 400
	for n := range cases {
		store := memory.New(nil)
		store.CreateRepository("r")
		older := map[string]string{"z": "always"}
		for range r.IntN(7) {
			older[tracedPaths[r.IntN(len(tracedPaths))]] = fmt.Sprint(r.IntN(3))
		}
		a := commitTree(t, store, nil, older)
		newer := maps.Clone(older)
		for range 1 + r.IntN(2) {
			p := tracedPaths[r.IntN(len(tracedPaths))]
			if newer[p] = fmt.Sprint(r.IntN(3)); r.IntN(3) == 0 {
				delete(newer, p)
			}
		}
		h := a
		if !maps.Equal(older, newer) {
			h = commitTree(t, store, older, newer)
		}
		seed := r.Uint64()
		run := func(commit string) (*workspace.Overlay, string) {
			o := workspace.NewOverlay(store, workspace.Ref{Repository: "r", Branch: "main", Commit: commit}, workspace.OverlayOptions{Dir: t.TempDir()})
			t.Cleanup(func() { o.Close() })
			return o, tracedBody(t.Context(), seed, o)
		}
		first, result := run(a)
		seen, err := first.Trace(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		miss, err := seen.Holds(t.Context(), first.At(h))
		if err != nil {
			t.Fatal(err)
		}
		clashes, err := seen.Clashes(t.Context(), changesOf(store, a, h), first.At(a), first.At(h), matchesGlob, 5)
		if err != nil {
			t.Fatal(err)
		}
		second, again := run(h)
		made, fresh := left(t, store, first, older), left(t, store, second, newer)
		// What the attempt changed, on top of what the others did.
		merged := maps.Clone(newer)
		for p := range union(older, made) {
			if was, had := older[p]; made[p] != was || !has(made, p) != !had {
				if delete(merged, p); has(made, p) {
					merged[p] = made[p]
				}
			}
		}
		same := result == again && maps.Equal(merged, fresh)
		if miss == nil && len(clashes) == 0 && !same || len(clashes) == 0 && miss != nil || miss == nil && result != again {
			t.Fatalf("case %d, seed %d: same %v, miss %v, clashes %v\nolder %v\nnewer %v\nmade %v\nfresh %v\nmerged %v\ntrace %+v", n, seed, same, miss, clashes,
				older, newer, made, fresh, merged, seen)
		}
		if miss == nil {
			held++
			// The earlier attempt's files, as a publication leaves them, taken over.
			published := h
			if !maps.Equal(newer, made) {
				published = commitTree(t, store, newer, made)
			}
			if seen, err = first.Trace(t.Context()); err != nil {
				t.Fatal(err)
			}
			for p, c := range seen.Wrote {
				if c.Checksum == "" { // an upload tells it
					seen.Wrote[p] = trace.Content{Size: c.Size, Checksum: checksumAt(t, store, published, p)}
				}
			}
			third := workspace.NewOverlay(store, workspace.Ref{Repository: "r", Branch: "main", Commit: h}, workspace.OverlayOptions{Dir: t.TempDir()})
			defer third.Close()
			if err := third.Reuse(t.Context(), seen, published); err != nil {
				t.Fatalf("case %d: reuse: %v\nolder %v\nnewer %v\ntrace %+v", n, err, older, newer, seen)
			}
			if reused := left(t, store, third, newer); !maps.Equal(reused, fresh) {
				t.Fatalf("case %d: reused %v\nfresh %v\nolder %v\nnewer %v\ntrace %+v", n, reused, fresh, older, newer, seen)
			}
		}
		if len(clashes) == 0 {
			clear++
		} else {
			clashed++
		}
	}
	if held < cases/10 || clear < cases/10 || clashed < cases/10 {
		t.Errorf("%d held, %d without a clash, %d with one: too few of one kind to say much", held, clear, clashed)
	}
}

func checksumAt(t *testing.T, store *memory.Store, commit, path string) string {
	t.Helper()
	for o, err := range store.List(t.Context(), "r", commit, path) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Path == path {
			return o.Checksum
		}
	}
	t.Fatalf("%s is not in %s", path, commit)
	return ""
}

func contentAt(t *testing.T, store *memory.Store, commit, path string) string {
	t.Helper()
	f, err := store.Open(t.Context(), "r", commit, path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func has(m map[string]string, p string) bool { _, is := m[p]; return is }

func union(a, b map[string]string) map[string]string {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

// commitTree makes main hold a tree, and returns the commit.
func commitTree(t *testing.T, store *memory.Store, before, tree map[string]string) string {
	t.Helper()
	var gone []string
	for p := range before {
		if !has(tree, p) {
			gone = append(gone, p)
		}
	}
	if err := store.Remove(t.Context(), "r", "main", gone); err != nil {
		t.Fatal(err)
	}
	for _, p := range slices.Sorted(maps.Keys(tree)) {
		if _, err := store.Put(t.Context(), "r", "main", p, storage.StringContent(tree[p])); err != nil {
			t.Fatal(err)
		}
	}
	c, err := store.CommitBranch(t.Context(), "r", "main", "c", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

func changesOf(store storage.Store, from, to string) iter.Seq2[trace.Change, error] {
	return func(yield func(trace.Change, error) bool) {
		for d, err := range store.Diff(context.Background(), "r", from, to) {
			if !yield(trace.Change{Path: d.Path, Was: d.Op != storage.Added, Is: d.Op != storage.Deleted}, err) {
				return
			}
		}
	}
}

func matchesGlob(pattern, p string) (bool, error) {
	g, err := glob.Compile(pattern)
	if err != nil {
		return false, err
	}
	return g.Match(p), nil
}
