package trace

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// tree is a commit: what it has at each path.
type tree map[string]Content

// unnameable says whether the path is one of a file with others below it, or
// below such a file: then the workspace can name neither.
func (t tree) unnameable(p string) bool {
	for folder := range folders(p) {
		if _, is := t[folder]; is {
			return true
		}
	}
	_, is := t[p]
	return is && t.below(p)
}

func (t tree) below(p string) bool {
	for q := range t {
		if below(q, p) {
			return true
		}
	}
	return false
}

func (t tree) Content(_ context.Context, p string) (Content, bool, error) {
	if t.unnameable(p) {
		return Content{}, false, nil
	}
	c, is := t[p]
	return c, is, nil
}

func (t tree) Kind(_ context.Context, p string) (Kind, error) {
	_, is := t[p]
	switch {
	case t.unnameable(p):
		return Unnameable, nil
	case is:
		return File, nil
	case t.below(p):
		return Folder, nil
	}
	return Nothing, nil
}

// names are those directly in a folder, or of all files below it.
func (t tree) names(folder string, direct bool) (Names, []string) {
	found := map[string]bool{}
	if _, is := t[folder]; !is && !t.unnameable(folder) {
		for p := range t {
			if !below(p, folder) || t.unnameable(p) {
				continue
			}
			name := p
			if folder != "" {
				name = p[len(folder)+1:]
			}
			if first, _, deeper := strings.Cut(name, "/"); direct && deeper {
				name = first + "/"
			}
			found[name] = true
		}
	}
	sorted := slices.Sorted(maps.Keys(found))
	return NamesOf(slices.Values(sorted)), sorted
}

func (t tree) Folder(_ context.Context, p string) (Names, error) {
	n, _ := t.names(p, true)
	return n, nil
}

func (t tree) matches(p Pattern) []string {
	_, all := t.names(p.Folder, false)
	return slices.DeleteFunc(all, func(name string) bool {
		is, _ := matchLast(p.Glob, name)
		return !is
	})
}

func (t tree) Pattern(_ context.Context, p Pattern) (Names, error) {
	return NamesOf(slices.Values(t.matches(p))), nil
}

func (t tree) All(_ context.Context, prefix string) (Names, error) {
	_, all := t.names(prefix, false)
	for i, name := range all {
		all[i] = name + " " + t[path.Join(prefix, name)].Checksum
	}
	return NamesOf(slices.Values(all)), nil
}

func (t tree) Below(_ context.Context, p string) (bool, error) { return t.below(p), nil }

// matchLast matches the last segment of a path, at any depth.
func matchLast(glob, p string) (bool, error) { return path.Match(glob, path.Base(p)) }

// changes are the paths in which two commits differ, sorted.
func changes(a, h tree) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		both := maps.Clone(a)
		maps.Copy(both, h)
		for _, p := range slices.Sorted(maps.Keys(both)) {
			was, had := a[p]
			now, has := h[p]
			if had != has || was != now {
				if !yield(Change{Path: p, Was: had, Is: has}, nil) {
					return
				}
			}
		}
	}
}

var paths = []string{"a", "a/b", "a/c", "a/d/e", "f", "g", "g/h", "g/i/j", "g/i/k", "l", "out", "out/x", "out/y", "z/a/b"}

func randomTree(r *rand.Rand, most int) tree {
	t := tree{}
	for range r.IntN(most + 1) {
		t[paths[r.IntN(len(paths))]] = randomContent(r)
	}
	return t
}

func randomContent(r *rand.Rand) Content {
	return Content{Size: int64(r.IntN(3)), Checksum: fmt.Sprint(r.IntN(3))}
}

// body is a program that a seed decides: what it asks next depends on the
// answers so far, and so does what it writes. It returns what it came to.
func body(seed uint64, at tree) (result string, wrote map[string]*Content, t *Trace) {
	ctx := context.Background()
	rec := NewRecorder("")
	wrote = map[string]*Content{} // nil: removed
	state := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, seed))
	learn := func(what ...any) {
		state = sha256.Sum256(fmt.Append(state[:], what...))
	}
	pick := func(n int) int {
		learn("pick")
		return int(binary.LittleEndian.Uint32(state[:]) % uint32(n))
	}
	for step := range 1 + pick(5) {
		learn(step)
		p := paths[pick(len(paths))]
		own, changed := wrote[p]
		switch pick(8) {
		case 0: // read
			if changed {
				learn(own != nil)
				continue
			}
			c, is, _ := at.Content(ctx, p)
			if is {
				rec.Content(p, c)
			} else {
				k, _ := at.Kind(ctx, p)
				rec.Kind(p, k)
			}
			learn(c, is)
		case 1: // is there anything?
			if changed {
				learn(own != nil)
				continue
			}
			k, _ := at.Kind(ctx, p)
			rec.Kind(p, k)
			learn(k)
		case 2, 3: // list the folder the path is in
			folder := path.Dir(p)
			if folder == "." {
				folder = ""
			}
			n, names := at.names(folder, true)
			rec.Folder(folder, n)
			learn(names)
		case 4, 5: // search
			q := Pattern{Folder: []string{"", "a", "g", "g/i", "out"}[pick(5)], Glob: []string{"*", "[a-e]", "x", "k", "j"}[pick(5)]}
			n, _ := at.Pattern(ctx, q)
			rec.Pattern(q, n)
			learn(at.matches(q))
		case 6: // write
			c := Content{Size: int64(pick(100)), Checksum: hex.EncodeToString(state[:4])}
			wrote[p] = &c
		case 7: // remove what is there
			if k, _ := at.Kind(ctx, p); !changed {
				rec.Kind(p, k)
				if k == File {
					wrote[p] = nil
				}
				learn(k)
			}
		}
	}
	t = rec.Trace(Names{})
	t.Wrote, t.Removed = map[string]Content{}, map[string]bool{}
	for p, c := range wrote {
		if c == nil {
			t.Removed[p] = true
		} else {
			t.Wrote[p] = *c
		}
	}
	return hex.EncodeToString(state[:]), wrote, t
}

// A commit that changed nothing an attempt asked for gives the same attempt.
func TestHoldingTraceGivesTheSame(t *testing.T) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(1, 2))
	held, clear, clashed := 0, 0, 0
	for n := range 25_000 {
		a := randomTree(r, 10)
		h := maps.Clone(a)
		for range 1 + r.IntN(3) {
			p := paths[r.IntN(len(paths))]
			if h[p] = randomContent(r); r.IntN(3) == 0 {
				delete(h, p)
			}
		}
		seed := r.Uint64()
		result, wrote, tr := body(seed, a)
		miss, err := tr.Holds(ctx, h)
		if err != nil {
			t.Fatal(err)
		}
		clashes, err := tr.Clashes(ctx, changes(a, h), a, h, matchLast, 5)
		if err != nil {
			t.Fatal(err)
		}
		again, rewrote, _ := body(seed, h)
		same := again == result && reflect.DeepEqual(wrote, rewrote)
		if miss == nil && !same {
			t.Fatalf("case %d: every entry holds, the attempt differs\ninput %v\nnewer %v\ntrace %+v", n, a, h, tr)
		}
		if len(clashes) == 0 && (miss != nil || !same) {
			t.Fatalf("case %d: nothing clashes; same %v, miss %v\ninput %v\nnewer %v\ntrace %+v", n, same, miss, a, h, tr)
		}
		if miss == nil {
			held++
		}
		if len(clashes) == 0 {
			clear++
		} else {
			clashed++
		}
	}
	// Each outcome has to be common, or the above says little.
	if held < 4_000 || clear < 2_000 || clashed < 4_000 {
		t.Errorf("%d held, %d without a clash, %d with one", held, clear, clashed)
	}
}

func TestUnchangedCommitNeverClashes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2_000 {
		a := randomTree(r, 10)
		_, _, tr := body(r.Uint64(), a)
		if miss, _ := tr.Holds(context.Background(), a); miss != nil {
			t.Fatalf("%v on the commit it was made of: %v", tr, miss)
		}
	}
}

func TestClashes(t *testing.T) {
	a := tree{"raw/a.csv": {1, "a"}, "raw/b.csv": {1, "b"}, "ref/r": {1, "r"}}
	read := func(note func(*Recorder)) *Trace {
		rec := NewRecorder("")
		note(rec)
		return rec.Trace(Names{Count: 3, Hash: "x"})
	}
	names := func(folder string) Names { n, _ := a.names(folder, true); return n }
	for _, c := range []struct {
		what  string
		trace *Trace
		put   string // a path that changes
		drop  string
		want  string // "" is none
	}{
		{"another file", read(func(r *Recorder) { r.Content("raw/a.csv", a["raw/a.csv"]) }), "raw/b.csv", "", ""},
		{"what was read", read(func(r *Recorder) { r.Content("raw/a.csv", a["raw/a.csv"]) }), "raw/a.csv", "",
			"raw/a.csv was read, and changed"},
		{"what was read is gone", read(func(r *Recorder) { r.Content("raw/a.csv", a["raw/a.csv"]) }), "", "raw/a.csv",
			"raw/a.csv was read, and changed"},
		{"a new name in a folder", read(func(r *Recorder) { r.Folder("raw", names("raw")) }), "raw/c.csv", "",
			"raw/ was listed, and holds other names now"},
		{"another content in a folder", read(func(r *Recorder) { r.Folder("raw", names("raw")) }), "raw/a.csv", "", ""},
		{"a new match", read(func(r *Recorder) { r.Pattern(Pattern{"raw", "*.csv"}, Names{}) }), "raw/c.csv", "",
			"raw/c.csv is new, and raw/*.csv was searched"},
		{"a new file that does not match", read(func(r *Recorder) { r.Pattern(Pattern{"raw", "*.csv"}, Names{}) }), "raw/c.txt", "", ""},
		{"a match is gone", read(func(r *Recorder) { r.Pattern(Pattern{"", "*.csv"}, Names{}) }), "", "raw/b.csv",
			"raw/b.csv is gone, and *.csv was searched"},
		{"what was missing came", read(func(r *Recorder) { r.Kind("done", Nothing) }), "done", "",
			"done was looked for: it was not there, and is a file now"},
		{"one file more in a folder that was looked for", read(func(r *Recorder) { r.Kind("raw", Folder) }), "raw/c.csv", "", ""},
		{"the only file of a folder that was looked for", read(func(r *Recorder) { r.Kind("ref", Folder) }), "", "ref/r",
			"ref was looked for: it was a folder, and is not there now"},
		{"the same output", &Trace{Wrote: map[string]Content{"out/x": {}}}, "out/x", "", "out/x was changed here, and there too"},
		{"a file where the output has a folder", &Trace{Wrote: map[string]Content{"out/x": {}}}, "out", "",
			"out changed above out/x, which was changed here"},
		{"a file below the output", &Trace{Wrote: map[string]Content{"out/x": {}}}, "out/x/y", "",
			"out/x/y changed below out/x, which was changed here"},
		{"more than a trace holds", read(func(r *Recorder) {
			for i := range maxPatterns + 1 {
				r.Pattern(Pattern{"", fmt.Sprint(i)}, Names{})
			}
		}), "q", "", "q changed, and more of the workspace was asked for than a trace has room for"},
	} {
		h := maps.Clone(a)
		if c.put != "" {
			h[c.put] = Content{9, "new"}
		}
		delete(h, c.drop)
		got, err := c.trace.Clashes(context.Background(), changes(a, h), a, h, matchLast, 5)
		text := ""
		for _, clash := range got {
			text += clash.String()
		}
		if err != nil || text != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.what, text, err, c.want)
		}
	}
}

func TestEncodedTraceComesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		_, _, tr := body(r.Uint64(), randomTree(r, 10))
		if r.IntN(4) == 0 {
			tr.All = &Names{Count: r.IntN(9), Hash: "<&>"}
			tr.Unrepeatable = []string{"threads", "time.now"}
		}
		data, err := tr.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(data)
		if err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if !reflect.DeepEqual(back, tr) {
			t.Fatalf("got  %+v\nwant %+v\n%s", back, tr, data)
		}
		if again, _ := back.Encode(); string(again) != string(data) {
			t.Fatalf("two forms of one trace:\n%s\n%s", again, data)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, data := range []string{``, `[]`, `{}`, `{"version":2}`, `{"version":1,"x":1}`, `{"version":1}{}`,
		`{"version":1,"contents":{"a":[1]}}`, `{"version":1,"contents":{"a":["1","x"]}}`, `{"version":1,"patterns":[["a","b",1]]}`,
		`{"version":1,"kinds":{"a":"socket"}}`, strings.Repeat(" ", maxEncoded+1)} {
		if got, err := Decode([]byte(data)); err == nil {
			t.Errorf("%.40q: got %+v, want an error", data, got)
		}
	}
}

// A body that asks for more than a trace holds must not make the worker keep it.
func TestRecorderIsBounded(t *testing.T) {
	for what, note := range map[string]func(*Recorder, int){
		"entries": func(r *Recorder, i int) { r.Kind(fmt.Sprint(i), Nothing) },
		"bytes":   func(r *Recorder, i int) { r.Kind(fmt.Sprint(i, strings.Repeat("x", 1000)), Nothing) },
		"reasons": func(r *Recorder, i int) { r.Unrepeatable(fmt.Sprint(i)) },
	} {
		r := NewRecorder("")
		for i := range maxEntries + 10 {
			note(r, i)
		}
		tr := r.Trace(Names{})
		if tr.Entries() > 0 || len(tr.Unrepeatable) > maxUnrepeatable {
			t.Errorf("%s: kept %d entries, %d reasons", what, tr.Entries(), len(tr.Unrepeatable))
		}
		if (tr.All != nil) != (what != "reasons") || r.Full() != (what != "reasons") {
			t.Errorf("%s: all is %v", what, tr.All)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"prefix":"p","contents":{"p/a":[1,"x"]},"patterns":[["p","*",1,"h"]],"all":[1,"h"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, err := Decode(data)
		if err != nil {
			return
		}
		again, err := tr.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatalf("%v: %s", err, again)
		}
	})
}
