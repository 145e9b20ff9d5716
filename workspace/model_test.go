package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"perago/workspace/glob"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// model is what an Overlay is to do, written plainly: the whole tree in a map.
type model struct {
	lower map[string]string
	files map[string]string
	made  map[string]bool
}

func (m *model) folder(p string) bool {
	if p == "" || m.made[p] {
		return true
	}
	for f := range m.files {
		if paths.Under(f, p) {
			return true
		}
	}
	for f := range m.made {
		if paths.Under(f, p) {
			return true
		}
	}
	return false
}

func (m *model) isFile(p string) bool { _, is := m.files[p]; return is }

// room says what keeps a file or folder from being made at p.
func (m *model) room(p string) error {
	if p == "" {
		return errIsRoot
	}
	for f := range paths.Ancestors(p) {
		if m.isFile(f) {
			return storage.ErrNotFolder
		}
	}
	return nil
}

func (m *model) write(p, text string, mode WriteMode) error {
	if err := m.room(p); err != nil {
		return err
	}
	if m.folder(p) {
		return storage.ErrIsFolder
	}
	if mode == Append {
		text = m.files[p] + text
	}
	m.files[p] = text
	return nil
}

func (m *model) remove(p string) error {
	switch {
	case m.folder(p):
		return storage.ErrIsFolder
	case !m.isFile(p):
		return fs.ErrNotExist
	}
	delete(m.files, p)
	return nil
}

func (m *model) removeTree(p string) error {
	switch {
	case m.isFile(p):
		return storage.ErrNotFolder
	case !m.folder(p):
		return fs.ErrNotExist
	}
	maps.DeleteFunc(m.files, func(f, _ string) bool { return paths.Under(f, p) })
	maps.DeleteFunc(m.made, func(f string, _ bool) bool { return f == p || paths.Under(f, p) })
	return nil
}

func (m *model) mkdir(p string) error {
	if p == "" {
		return nil
	}
	if err := m.room(p); err != nil {
		return err
	}
	if m.isFile(p) {
		return fs.ErrExist
	}
	m.made[p] = true
	return nil
}

func (m *model) transfer(from, to string, move bool) error {
	folder := m.folder(from)
	switch {
	case from == "":
		return errIsRoot
	case !folder && !m.isFile(from):
		return fs.ErrNotExist
	case folder && paths.Under(to, from):
		return errIntoItself
	}
	if err := m.room(to); err != nil {
		return err
	}
	switch {
	case from == to:
		return nil
	case !folder && m.folder(to):
		return storage.ErrIsFolder
	case folder && m.isFile(to):
		return storage.ErrNotFolder
	case !folder:
		m.files[to] = m.files[from]
		if move {
			delete(m.files, from)
		}
		return nil
	}
	for f := range m.files {
		if paths.Under(f, to) {
			return fs.ErrExist
		}
	}
	for f := range m.made {
		if paths.Under(f, to) {
			return fs.ErrExist
		}
	}
	files, made := maps.Clone(m.files), maps.Clone(m.made)
	for f, text := range files {
		if paths.Under(f, from) {
			m.files[to+f[len(from):]] = text
			if move {
				delete(m.files, f)
			}
		}
	}
	for f := range made {
		if f == from || paths.Under(f, from) {
			m.made[to+f[len(from):]] = true
			if move {
				delete(m.made, f)
			}
		}
	}
	return nil
}

func (m *model) changes() string {
	var parts []string
	for _, p := range slices.Sorted(maps.Keys(m.files)) {
		old, was := m.lower[p]
		switch now := m.files[p]; {
		case !was:
			parts = append(parts, fmt.Sprintf("A %s %d", p, len(now)))
		case now != old:
			parts = append(parts, fmt.Sprintf("M %s %d", p, len(now)))
		}
	}
	for p, old := range m.lower {
		if !m.isFile(p) {
			parts = append(parts, fmt.Sprintf("D %s %d", p, len(old)))
		}
	}
	slices.SortFunc(parts, func(a, b string) int { return strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1]) })
	return strings.Join(parts, ", ")
}

// TestOverlayAgainstModel makes random changes to an Overlay and to the model,
// and compares all that can be asked.
func TestOverlayAgainstModel(t *testing.T) {
	var universe []string
	for _, a := range []string{"a", "b", "c"} {
		universe = append(universe, a)
		for _, b := range []string{"a", "b"} {
			universe = append(universe, a+"/"+b, a+"/"+b+"/x", a+"/"+b+"/y")
		}
	}
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		m := &model{lower: map[string]string{}, files: map[string]string{}, made: map[string]bool{}}
		for range random.IntN(8) {
			m.write(universe[random.IntN(len(universe))], strings.Repeat("l", random.IntN(3)), Replace)
		}
		maps.Copy(m.lower, m.files)
		stored := map[string]string{}
		for p, text := range m.lower {
			stored["pre/fix/"+p] = text
		}
		stored["pre/fix.txt"], stored["pre/other/x"] = "beside", "beside"
		o := openOverlay(t, &shelf{files: stored, hashed: seed%2 == 0}, Spec{Prefix: "pre/fix"})
		var log []string
		for range 40 {
			what, got, want := step(random, universe, o, m)
			log = append(log, what)
			if !errors.Is(got, want) {
				t.Fatalf("seed %d: %s\ngot %v, want %v", seed, strings.Join(log, "\n"), got, want)
			}
			if seed%3 == 0 { // without listings, as far as that goes
				compare(t, o, m, []string{universe[random.IntN(len(universe))]})
			} else {
				compare(t, o, m, universe)
				compareGlob(t, o, m)
			}
			if t.Failed() {
				t.Fatalf("seed %d: of %q, after\n%s", seed, m.lower, strings.Join(log, "\n"))
			}
		}
		if got, want := changes(t, o), m.changes(); got != want {
			t.Fatalf("seed %d: of %q, after\n%s\nthe changes are\n got %s\nwant %s", seed, m.lower, strings.Join(log, "\n"), got, want)
		}
		checkAgreement(t, o)
	}
}

func step(random *rand.Rand, universe []string, o *Overlay, m *model) (what string, got, want error) {
	ctx := context.Background()
	p, q := universe[random.IntN(len(universe))], universe[random.IntN(len(universe))]
	text := strings.Repeat([]string{"l", "n"}[random.IntN(2)], random.IntN(3))
	switch random.IntN(8) {
	case 0, 1:
		return "write " + p, tryWrite(o, p, text, Replace), m.write(p, text, Replace)
	case 2:
		return "append " + p, tryWrite(o, p, text, Append), m.write(p, text, Append)
	case 3:
		return "remove " + p, o.Remove(ctx, p), m.remove(p)
	case 4:
		return "remove_tree " + p, o.RemoveTree(ctx, p), m.removeTree(p)
	case 5:
		return "mkdir " + p, o.Mkdir(ctx, p), m.mkdir(p)
	case 6:
		return "copy " + p + " " + q, o.Copy(ctx, p, q), m.transfer(p, q, false)
	}
	return "rename " + p + " " + q, o.Rename(ctx, p, q), m.transfer(p, q, true)
}

func compare(t *testing.T, o *Overlay, m *model, universe []string) {
	t.Helper()
	ctx := context.Background()
	for _, p := range universe {
		info, err := o.Stat(ctx, p)
		switch {
		case m.isFile(p):
			if err != nil || info.Folder || info.Size != int64(len(m.files[p])) {
				t.Errorf("Stat(%s) is %+v, %v, want a file of %d", p, info, err, len(m.files[p]))
			}
			if text := read(t, o, p); text != m.files[p] {
				t.Errorf("%s holds %q, want %q", p, text, m.files[p])
			}
		case m.folder(p):
			if err != nil || !info.Folder {
				t.Errorf("Stat(%s) is %+v, %v, want a folder", p, info, err)
			}
		case !errors.Is(err, fs.ErrNotExist):
			t.Errorf("Stat(%s) is %+v, %v, want nothing", p, info, err)
		}
	}
}

func compareGlob(t *testing.T, o *Overlay, m *model) {
	t.Helper()
	if got, err := o.Glob(context.Background(), "", glob.MustCompile("**")); err != nil || !slices.Equal(got, slices.Sorted(maps.Keys(m.files))) {
		t.Errorf("Glob is %q, %v, want %q", got, err, slices.Sorted(maps.Keys(m.files)))
	}
}
