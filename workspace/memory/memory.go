// Package memory is a versioned store in memory: commits, branches, three-way
// merge, and the server's side of the fence. It behaves as a real server does in
// everything that publication uses; package storetest tests both with the same cases.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"perago/workspace/storage"
)

// Options of a Store; the zero value is a server with its usual settings.
type Options struct {
	// NoActions switches hooks off, as a server's setting does: merges are not checked.
	NoActions bool

	// InFlight is called in the middle of a merge: the request is accepted and
	// its source is read, the branch is not yet updated. nil: nothing.
	InFlight func(storage.Merge)
}

// Store is a storage.Store in memory. It is safe for concurrent use.
type Store struct {
	opts Options

	mu    sync.Mutex
	repos map[string]*repository
	clock int64 // counts commits, so that no two have the same id
}

type repository struct {
	commits   map[string]*commit
	branches  map[string]*branch
	main      string
	protected map[string]bool
	hook      func(storage.Commit) error
}

type commit struct {
	storage.Commit
	tree       tree
	generation int // 1 + the highest of its parents
}

// tree are the objects of a commit, by path. It is not changed once it has a commit.
type tree map[string]*object

type object struct {
	storage.Object
	data []byte
}

type branch struct {
	head   string
	staged tree // uncommitted; nil is a deletion
	token  int  // grows with each update; a merge that finds another one starts again
}

var _ storage.Store = (*Store)(nil)

// New makes an empty store. o may be nil.
func New(o *Options) *Store {
	if o == nil {
		o = &Options{}
	}
	return &Store{opts: *o, repos: make(map[string]*repository)}
}

// CreateRepository makes a repository with the branch main and an empty first
// commit, whose id it returns.
func (s *Store) CreateRepository(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &repository{
		commits:   make(map[string]*commit),
		branches:  make(map[string]*branch),
		protected: make(map[string]bool),
		main:      "main",
	}
	s.repos[name] = r
	first := s.addCommit(r, &commit{Commit: storage.Commit{Message: "Repository created"}, tree: tree{}})
	r.branches[r.main] = &branch{head: first.ID, staged: tree{}}
	return first.ID
}

// Seed commits files onto a branch and returns the commit.
func (s *Store) Seed(repo, name string, files map[string]string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, b, err := s.branch(repo, name)
	if err != nil {
		return "", err
	}
	next := maps.Clone(r.commits[b.head].tree)
	for path, data := range files {
		next[path] = newObject(path, []byte(data))
	}
	c := s.addCommit(r, &commit{Commit: storage.Commit{Parents: []string{b.head}, Message: "seed"}, tree: next})
	b.head = c.ID
	b.token++
	return c.ID, nil
}

// Protect makes a branch refuse direct writes, commits and its deletion. Merges pass.
func (s *Store) Protect(repo, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo].protected[name] = true
}

// SetHook installs a hook of the repository's owner: it sees each merge commit
// before the branch is updated, and its error refuses the merge.
func (s *Store) SetHook(repo string, hook func(storage.Commit) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo].hook = hook
}

func (s *Store) repository(name string) (*repository, error) {
	r := s.repos[name]
	if r == nil {
		return nil, fmt.Errorf("repository %s: %w", name, storage.ErrUnknownRepository)
	}
	return r, nil
}

func (s *Store) branch(repo, name string) (*repository, *branch, error) {
	r, err := s.repository(repo)
	if err != nil {
		return nil, nil, err
	}
	b := r.branches[name]
	if b == nil {
		return nil, nil, fmt.Errorf("branch %s of %s: %w", name, repo, storage.ErrUnknownBranch)
	}
	return r, b, nil
}

func (s *Store) commit(repo, id string) (*commit, error) {
	r, err := s.repository(repo)
	if err != nil {
		return nil, err
	}
	c := r.commits[id]
	if c == nil {
		return nil, fmt.Errorf("commit %s of %s: %w", id, repo, storage.ErrUnknownCommit)
	}
	return c, nil
}

// addCommit sets a commit's id, tree id, generation and time, and stores it.
func (s *Store) addCommit(r *repository, c *commit) *commit {
	s.clock++
	c.Created = time.Now().UTC().Truncate(time.Second)
	c.Tree = c.tree.id()
	for _, p := range c.Parents {
		c.generation = max(c.generation, r.commits[p].generation+1)
	}
	body, err := json.Marshal(struct {
		storage.Commit
		Clock int64
	}{c.Commit, s.clock})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	sum := sha256.Sum256(body)
	c.ID = hex.EncodeToString(sum[:])
	r.commits[c.ID] = c
	return c
}

// id is equal for two trees with the same objects.
func (t tree) id() string {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(t)) {
		fmt.Fprintf(h, "%d %s %s %d\n", len(path), path, t[path].Checksum, t[path].Size)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func newObject(path string, data []byte) *object {
	sum := md5.Sum(data)
	sha := sha256.Sum256(data)
	return &object{data: data, Object: storage.Object{
		Path:     path,
		Size:     int64(len(data)),
		Checksum: hex.EncodeToString(sum[:]),
		Hashed:   true,
		Physical: "memory://" + hex.EncodeToString(sha[:]),
	}}
}

// List yields the objects of a commit.
func (s *Store) List(ctx context.Context, repo, id, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		s.mu.Lock()
		c, err := s.commit(repo, id)
		s.mu.Unlock()
		if err != nil {
			yield(storage.Object{}, err)
			return
		}
		for _, path := range slices.Sorted(maps.Keys(c.tree)) {
			if ctx.Err() != nil {
				yield(storage.Object{}, context.Cause(ctx))
				return
			}
			if strings.HasPrefix(path, prefix) && !yield(c.tree[path].Object, nil) {
				return
			}
		}
	}
}

// Open reads one object of a commit.
func (s *Store) Open(ctx context.Context, repo, id, path string) (io.ReadCloser, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.commit(repo, id)
	if err != nil {
		return nil, err
	}
	o := c.tree[path]
	if o == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(o.data)), nil
}

// Put uploads one object.
func (s *Store) Put(ctx context.Context, repo, name, path string, body storage.Content) (storage.Object, error) {
	f, err := body.Open()
	if err != nil {
		return storage.Object{}, fmt.Errorf("upload %s: %w", path, err)
	}
	data, err := io.ReadAll(f)
	if err = cmp.Or(err, f.Close(), context.Cause(ctx)); err != nil {
		return storage.Object{}, fmt.Errorf("upload %s: %w", path, err)
	}
	if int64(len(data)) != body.Size {
		return storage.Object{}, fmt.Errorf("upload %s: %d bytes, not the %d that were announced", path, len(data), body.Size)
	}
	o := newObject(path, data)
	return o.Object, s.write(repo, name, map[string]*object{path: o})
}

// Remove deletes objects.
func (s *Store) Remove(ctx context.Context, repo, name string, paths []string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	gone := make(map[string]*object, len(paths))
	for _, p := range paths {
		gone[p] = nil
	}
	return s.write(repo, name, gone)
}

// Copy makes an object from one of a commit.
func (s *Store) Copy(ctx context.Context, repo, name string, c storage.CopyRequest) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	from, err := s.commit(repo, c.Commit)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	o := from.tree[c.From]
	if o == nil {
		return &fs.PathError{Op: "copy", Path: c.From, Err: fs.ErrNotExist}
	}
	copied := *o
	copied.Path = c.To
	return s.write(repo, name, map[string]*object{c.To: &copied})
}

// write changes the uncommitted state of a branch.
func (s *Store) write(repo, name string, changes map[string]*object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, b, err := s.branch(repo, name)
	if err != nil {
		return err
	}
	if r.protected[name] {
		return fmt.Errorf("write to branch %s: %w", name, storage.ErrProtected)
	}
	held := r.commits[b.head].tree
	for path, o := range changes {
		if o == nil && held[path] == nil {
			delete(b.staged, path)
			continue
		}
		b.staged[path] = o
	}
	return nil
}
