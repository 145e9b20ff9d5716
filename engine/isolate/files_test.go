package isolate

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"perago/starlib"
	"perago/workspace"
	"perago/workspace/glob"
)

// What a child may not name is refused in the worker, before the file API is
// asked: the child's own checks count for nothing.
func TestServerChecksEveryName(t *testing.T) {
	worker, _ := pair(t)
	s := newServer(t.Context(), &scriptedFiles{}, worker) // which panics when it is asked
	for _, bad := range []text{"../x", "a/../../x", "/etc/passwd", "a//b", "a/", ".", "a\x00b", ".."} {
		for name, m := range map[string]callMessage{
			"stat":            {Op: opStat, Path: bad},
			"find":            {Op: opFind, Path: bad},
			"list":            {Op: opReadDir, Path: bad},
			"glob":            {Op: opGlob, Path: bad, Other: "*"},
			"open":            {Op: opOpen, Path: bad},
			"create":          {Op: opCreate, Path: bad, Mode: workspace.Replace},
			"copy from":       {Op: opCopy, Path: bad, Other: "good"},
			"copy to":         {Op: opCopy, Path: "good", Other: bad},
			"rename from":     {Op: opRename, Path: bad, Other: "good"},
			"rename to":       {Op: opRename, Path: "good", Other: bad},
			"remove":          {Op: opRemove, Path: bad},
			"remove tree":     {Op: opRemoveTree, Path: bad},
			"mkdir":           {Op: opMkdir, Path: bad},
			"a root, renamed": {Op: opRename, Path: "", Other: "good"},
			"onto the root":   {Op: opRename, Path: "good", Other: ""},
		} {
			if err := s.check(m); !errors.Is(err, errProtocol) {
				t.Errorf("%s of %q: got %v, want a broken protocol", name, bad, err)
			}
		}
	}
	s.close()
}

type noTables struct{ starlib.Tables }

// A folder of parts has a name.
func TestServerChecksFolder(t *testing.T) {
	worker, _ := pair(t)
	s := newServer(t.Context(), &scriptedFiles{}, worker)
	defer s.close()
	s.tables = noTables{}
	if err := s.check(callMessage{ID: 1, Op: opTable, Need: &needMessage{Folder: true}}); !errors.Is(err, errProtocol) {
		t.Errorf("got %v, want a broken protocol", err)
	}
	if err := s.check(callMessage{ID: 2, Op: opTable, Need: &needMessage{Folder: true, Output: "parts"}}); err != nil {
		t.Error(err)
	}
}

// scriptedFiles opens the same file whatever is asked for.
type scriptedFiles struct {
	starlib.Files
	open func() (*os.File, error)
	next []string // what the body is expected to open
}

func (f *scriptedFiles) Expected(int) []string { return f.next }

func (f *scriptedFiles) Open(context.Context, string) (*os.File, error) { return f.open() }

func (f *scriptedFiles) OpenAhead(context.Context, string) (*os.File, func(), error) {
	file, err := f.open()
	return file, func() {}, err
}

// listings are starlib.Files that only list.
type listings struct {
	starlib.Files
	list func()
}

func (f *listings) Glob(context.Context, string, *glob.Pattern) ([]string, error) {
	f.list()
	return nil, errors.ErrUnsupported
}

func (f *listings) ReadDir(context.Context, string) ([]workspace.Info, error) {
	f.list()
	return nil, errors.ErrUnsupported
}

// A child that asks for eight listings at once gets them one after another: each
// may take as much of the worker as the whole tree of the attempt.
func TestListingsComeOneAtATime(t *testing.T) {
	worker, _ := pair(t)
	files := &listings{}
	s := newServer(t.Context(), files, worker)
	listed := 0
	files.list = func() {
		listed++
		if s.list.TryLock() {
			t.Error("another listing could be made beside this one")
		}
	}
	s.answer(callMessage{Op: opGlob, Other: "**"})
	s.answer(callMessage{Op: opReadDir})
	if listed != 2 || !s.list.TryLock() {
		t.Errorf("%d listings were made, want 2 and none under way", listed)
	}
}

// A child is handed files that it can only read: one that could be written to
// would be the cache's own, which all attempts share.
func TestServerHandsOutReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		open func() (*os.File, error)
		want string // in the error; "" is none
	}{
		"read only":  {func() (*os.File, error) { return os.Open(path) }, ""},
		"read write": {func() (*os.File, error) { return os.OpenFile(path, os.O_RDWR, 0) }, "open for writing"},
		"write only": {func() (*os.File, error) { return os.OpenFile(path, os.O_WRONLY, 0) }, "open for writing"},
		"append":     {func() (*os.File, error) { return os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0) }, "open for writing"},
		"a folder":   {func() (*os.File, error) { return os.Open(filepath.Dir(path)) }, "not a plain file"},
		"a device":   {func() (*os.File, error) { return os.Open(os.DevNull) }, "not a plain file"},
	} {
		t.Run(name, func(t *testing.T) {
			worker, child := pair(t)
			files := &scriptedFiles{open: tt.open}
			s := newServer(t.Context(), files, worker)
			defer s.close()
			for _, m := range []callMessage{{ID: 1, Op: opOpen, Path: "a"}, {ID: 2, Op: opMore}} {
				sent := make(chan error, 1)
				go func() { sent <- s.answer(m) }()
				var reply replyMessage
				_, payload, file, err := child.receive(anyKind)
				if err == nil && m.Op == opMore { // the announcement; the file follows
					if err = decode(payload, &reply); err == nil && (len(reply.Ahead) != 1 || reply.Ahead[0].Path != "b" || file != nil) {
						t.Fatalf("announced %+v", reply)
					}
					_, payload, file, err = child.receive(anyKind)
				}
				if err := errors.Join(err, <-sent); err != nil {
					t.Fatal(err)
				}
				reply = replyMessage{}
				if err := decode(payload, &reply); err != nil {
					t.Fatal(err)
				}
				files.next = []string{"b"}
				if file != nil {
					file.Close()
				}
				said := ""
				if reply.Error != nil {
					said = reply.Error.Text
				}
				if (file == nil) != (tt.want != "") || !strings.Contains(said, tt.want) {
					t.Errorf("%s: a file %t, error %q; want error %q", m.Op, file != nil, said, tt.want)
				}
			}
		})
	}
}

// madeFiles is a file API of which drafts can be asked for.
type madeFiles struct {
	starlib.Files
	dir string
	all []*os.File
}

func (m *madeFiles) Create(context.Context, string, workspace.WriteMode) (*workspace.Draft, error) {
	f, err := os.CreateTemp(m.dir, "")
	if err != nil {
		return nil, err
	}
	m.all = append(m.all, f)
	return workspace.NewDraft("x", f, nil, func() { f.Close() }), nil
}

// A body that opens files for writing without end gets its share of those that
// the process may have, and an error that says the figure; nothing is made then.
func TestDraftShare(t *testing.T) {
	for _, tt := range []struct {
		open  uint64
		slots int
		want  int
	}{{0, 1, 8}, {256, 16, 8}, {1024, 4, 112}, {1024, 5, 89}, {1024, 16, 28}, {20000, 4, 300}, {1 << 63, 0, 300}} {
		if got := draftShare(tt.open, tt.slots); got != tt.want {
			t.Errorf("%d open files, %d slots: got %d, want %d", tt.open, tt.slots, got, tt.want)
		}
	}
	worker, child := pair(t)
	files := &madeFiles{dir: t.TempDir()}
	s := newServer(t.Context(), files, worker)
	s.most = 3
	for id := range uint64(5) {
		sent := make(chan error, 1)
		go func() { sent <- s.create(callMessage{ID: id, Path: "x"}) }()
		_, payload, f, err := child.receive(anyKind)
		if err := errors.Join(err, <-sent); err != nil {
			t.Fatal(err)
		}
		var m replyMessage
		if err := decode(payload, &m); err != nil {
			t.Fatal(err)
		}
		if f != nil {
			f.Close()
		}
		if refused := m.Error != nil; refused != (id >= 3) {
			t.Errorf("draft %d: got %+v", id, m.Error)
		} else if refused && !strings.Contains(m.Error.Text, "got 4, want at most 3") {
			t.Errorf("draft %d: got %q", id, m.Error.Text)
		}
	}
	s.close()
	if len(files.all) != 3 {
		t.Errorf("%d files were made, want 3", len(files.all))
	}
	for _, f := range files.all {
		if f.Close() == nil {
			t.Error("a draft was left open")
		}
	}
}

// countedFiles notes how many lists of names are made at once.
type countedFiles struct {
	starlib.Files
	now, most atomic.Int32
}

func (c *countedFiles) Glob(context.Context, string, *glob.Pattern) ([]string, error) {
	if n := c.now.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	for range 100 {
		runtime.Gosched()
	}
	c.now.Add(-1)
	return nil, nil
}

func (c *countedFiles) ReadDir(ctx context.Context, _ string) ([]workspace.Info, error) {
	_, err := c.Glob(ctx, "", nil)
	return nil, err
}

// A child that asks for many lists of names at once costs the worker one.
func TestOneListAtATime(t *testing.T) {
	worker, child := pair(t)
	child.sock.Close() // nobody reads the answers
	files := &countedFiles{}
	s := newServer(t.Context(), files, worker)
	for i := range uint64(100) {
		for _, m := range []callMessage{{ID: 2 * i, Op: opGlob, Other: "*"}, {ID: 2*i + 1, Op: opReadDir}} {
			payload, err := json.Marshal(m)
			if err == nil {
				err = s.handle(kindCall, payload)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	s.close()
	if n := files.most.Load(); n != 1 {
		t.Errorf("%d lists of names at once, want 1", n)
	}
}
