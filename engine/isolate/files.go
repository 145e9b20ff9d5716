package isolate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"perago/panics"
	"perago/starlib"
	"perago/workspace"
	"perago/workspace/glob"
	"perago/workspace/paths"
)

const (
	// maxOutstanding bounds the requests of one child that are answered at once.
	// While as many are open, nothing more is read from it.
	maxOutstanding = 8
	// maxDrafts bounds the files that one child has open for writing, and
	// minDrafts is what it may have however few there are (draftShare).
	maxDrafts = 300
	minDrafts = 8
	// ownFiles is how many files a process has open beside those of its bodies.
	ownFiles = 128
)

// draftShare is how many files one of so many bodies may have open for writing,
// in a process that may have open files open in all: half of its share, since a
// body reads and a transfer is open as well.
func draftShare(open uint64, slots int) int {
	if open <= ownFiles {
		return minDrafts
	}
	return int(max(minDrafts, min(maxDrafts, (open-ownFiles)/uint64(2*max(1, slots)))))
}

// fileLimit is how many files this process may have open.
func fileLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}

// server answers the file requests of one child. What the child names is
// checked here, whatever the builtins in it have checked before.
type server struct {
	ctx   context.Context
	files starlib.Files // nil for a task without a workspace
	conn  *conn
	fault func(error) // called with a panic of perago's own in a request
	slots chan struct{}
	most  int // drafts
	busy  sync.WaitGroup
	list  sync.Mutex        // held while a listing is made and sent: it takes far more memory than any other answer
	host  []starlib.Builtin // functions of the program that the child may call

	tables starlib.Tables // nil: there is no engine of statements

	mu     sync.Mutex
	asked  map[uint64]starlib.TableSession // engines that the child has, by the ID of their request; nil while one is started
	atHost bool                            // a function of the program runs for the child
	drafts map[uint64]*workspace.Draft
	ahead  ahead
}

func newServer(ctx context.Context, files starlib.Files, c *conn) *server {
	return &server{ctx: ctx, files: files, conn: c, fault: func(error) {}, slots: make(chan struct{}, maxOutstanding),
		drafts: make(map[uint64]*workspace.Draft), asked: make(map[uint64]starlib.TableSession)}
}

// close waits for the answers that are under way, whose context must have
// ended, and drops what the body did not commit.
func (s *server) close() {
	s.busy.Wait()
	for _, d := range s.drafts {
		if d != nil {
			d.Discard()
		}
	}
	clear(s.drafts)
	for _, t := range s.asked {
		if t != nil {
			t.Drop()
		}
	}
	clear(s.asked)
}

// handle answers one request in a goroutine of its own; it waits while too many
// are open. The error is a broken protocol.
func (s *server) handle(k kind, payload []byte) error {
	read := decode
	if k == kindHost {
		read = decodeTrusted // its arguments stay text, whose length is bounded
	}
	var m callMessage
	if err := read(payload, &m); err != nil {
		return err
	}
	if (m.Op == opHost) != (k == kindHost) || (m.Op == opTable) != (k == kindFiles) {
		return fmt.Errorf("%w: operation %.20q in a frame of kind %d", errProtocol, m.Op, k)
	}
	if err := s.check(m); err != nil {
		return err
	}
	s.opened(m.Used) // here, since requests that come later may be answered earlier
	select {
	case s.slots <- struct{}{}:
	case <-s.ctx.Done():
		return nil
	}
	panics.Go(&s.busy, s.fault, func() {
		defer func() { <-s.slots }()
		// A send that fails is a child that is gone, which its session sees.
		s.answer(m)
	})
	return nil
}

// check refuses what the child's own code cannot have sent.
func (s *server) check(m callMessage) error {
	if m.Op == opHost {
		return s.checkHost(m)
	}
	if m.Op == opTable || m.Op == opTableEnd {
		return s.checkTable(m)
	}
	if s.files == nil {
		return fmt.Errorf("%w: a file request without a workspace", errProtocol)
	}
	switch m.Op {
	case opStat, opFind, opReadDir, opGlob, opRemoveTree:
		return rootOr(m.Path)
	case opOpen, opRemove, opMkdir:
		return checked(paths.Check(string(m.Path)))
	case opCreate:
		if m.Mode != workspace.Replace && m.Mode != workspace.Append {
			return fmt.Errorf("%w: write mode %d", errProtocol, m.Mode)
		}
		return checked(paths.Check(string(m.Path)))
	case opCopy, opRename:
		return checked(errors.Join(paths.Check(string(m.Path)), paths.Check(string(m.Other))))
	case opCommit, opDiscard, opMore, opUsed:
		return nil
	}
	return fmt.Errorf("%w: operation %.20q", errProtocol, m.Op)
}

// checkHost refuses a function that the program does not have, and a second call
// at a time.
func (s *server) checkHost(m callMessage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.hostRow(m) == nil:
		return fmt.Errorf("%w: function %.20q of the program", errProtocol, string(m.Path))
	case s.atHost:
		return fmt.Errorf("%w: two calls of the program at once", errProtocol)
	}
	s.atHost = true
	return nil
}

// hostRow is the function that a message calls, nil when there is none.
func (s *server) hostRow(m callMessage) *starlib.Builtin {
	i := slices.IndexFunc(s.host, func(b starlib.Builtin) bool { return b.Name == string(m.Path) })
	if i < 0 {
		return nil
	}
	return &s.host[i]
}

// callHost calls a function of the program.
func (s *server) callHost(m callMessage) error {
	value, err := s.hostRow(m).CallHost(s.ctx, m.Args)
	s.mu.Lock()
	s.atHost = false // before the child knows of the answer
	s.mu.Unlock()
	return s.reply(replyMessage{ID: m.ID, Value: value}, err)
}

// rootOr checks a path that may be the root.
func rootOr(p text) error {
	if p == "" {
		return nil
	}
	return checked(paths.Check(string(p)))
}

func checked(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %v", errProtocol, err)
	}
	return nil
}

// answer carries out one request and sends its result.
func (s *server) answer(m callMessage) error {
	path, other := string(m.Path), string(m.Other)
	switch m.Op {
	case opHost:
		return s.callHost(m)
	case opTable:
		return s.table(m)
	case opTableEnd:
		return s.endTable(m)
	case opStat, opFind:
		ask := s.files.Stat
		if m.Op == opFind {
			ask = s.files.Find
		}
		info, err := ask(s.ctx, path)
		return s.reply(replyMessage{ID: m.ID, Infos: []infoMessage{encodeInfo(info)}}, err)
	case opReadDir:
		return s.readDir(m)
	case opGlob:
		return s.glob(m)
	case opOpen:
		return s.open(m)
	case opMore:
		return s.more(m)
	case opUsed: // was noted when it came
		return nil
	case opCreate:
		return s.create(m)
	case opCommit:
		return s.commit(m)
	case opDiscard:
		if d := s.takeDraft(m.Draft); d != nil {
			d.Discard()
		}
		return nil
	case opCopy:
		return s.reply(replyMessage{ID: m.ID}, s.files.Copy(s.ctx, path, other))
	case opRename:
		return s.reply(replyMessage{ID: m.ID}, s.files.Rename(s.ctx, path, other))
	case opRemove:
		return s.reply(replyMessage{ID: m.ID}, s.files.Remove(s.ctx, path))
	case opRemoveTree:
		return s.reply(replyMessage{ID: m.ID}, s.files.RemoveTree(s.ctx, path))
	default: // opMkdir: check has refused all others
		return s.reply(replyMessage{ID: m.ID}, s.files.Mkdir(s.ctx, path))
	}
}

// reply sends an answer, or the error in its place.
func (s *server) reply(m replyMessage, err error) error {
	if err != nil {
		m = replyMessage{ID: m.ID, Error: encodeError(err)}
	}
	return s.conn.send(kindReply, m, nil)
}

func (s *server) readDir(m callMessage) error {
	s.list.Lock()
	defer s.list.Unlock()
	infos, err := s.files.ReadDir(s.ctx, string(m.Path))
	return inSteps(infos, func(part []workspace.Info, more bool) error {
		r := replyMessage{ID: m.ID, More: more}
		for _, i := range part {
			r.Infos = append(r.Infos, encodeInfo(i))
		}
		return s.reply(r, err)
	})
}

func (s *server) glob(m callMessage) error {
	s.list.Lock()
	defer s.list.Unlock()
	pattern, err := glob.Compile(string(m.Other))
	var found []string
	if err == nil {
		found, err = s.files.Glob(s.ctx, string(m.Path), pattern)
	}
	return inSteps(found, func(part []string, more bool) error {
		r := replyMessage{ID: m.ID, More: more}
		for _, p := range part {
			r.Paths = append(r.Paths, text(p))
		}
		return s.reply(r, err)
	})
}

// inSteps hands out a listing in parts, at least one.
func inSteps[T any](all []T, send func(part []T, more bool) error) error {
	for {
		part := all[:min(len(all), listingStep)]
		all = all[len(part):]
		if err := send(part, len(all) > 0); err != nil || len(all) == 0 {
			return err
		}
	}
}

// sendFile answers with a file, which it closes, or with the error in its place.
func (s *server) sendFile(m replyMessage, file *os.File, err error) error {
	if err != nil {
		return s.reply(m, err)
	}
	defer file.Close()
	if err := readOnlyFile(file); err != nil {
		return s.reply(m, fmt.Errorf("open %s: %w", file.Name(), err))
	}
	return s.conn.send(kindReply, m, file)
}

// readOnlyFile says whether a file may be shown to a child: plain, and not open
// for writing.
func readOnlyFile(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a plain file")
	}
	return control(file, func(fd uintptr) error {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY {
			err = errors.New("open for writing")
		}
		return err
	})
}

// create starts a draft and sends its file. The draft is counted before its file
// exists, so that concurrent requests cannot pass the bound.
func (s *server) create(m callMessage) error {
	s.mu.Lock()
	_, taken := s.drafts[m.ID]
	full := len(s.drafts) >= s.most
	if !taken && !full {
		s.drafts[m.ID] = nil
	}
	s.mu.Unlock()
	if taken || full {
		return s.reply(replyMessage{ID: m.ID}, fmt.Errorf("write %s: too many files open for writing: got %d, want at most %d; "+
			"close them before the next is opened, or let the worker have more open files (ulimit -n)", m.Path, s.most+1, s.most))
	}
	d, err := s.files.Create(s.ctx, string(m.Path), m.Mode)
	s.mu.Lock()
	if err == nil {
		s.drafts[m.ID] = d
	} else {
		delete(s.drafts, m.ID)
	}
	s.mu.Unlock()
	if err != nil {
		return s.reply(replyMessage{ID: m.ID}, err)
	}
	if err := appendOnly(d.File); err != nil {
		return s.reply(replyMessage{ID: m.ID}, fmt.Errorf("create %s: %w", m.Path, err))
	}
	return s.conn.send(kindReply, replyMessage{ID: m.ID}, d.File)
}

// appendOnly makes every write through any descriptor of an open file go to its
// end, wherever it is meant for. The sandbox refuses the call that would undo it:
// a child leaves no holes, and what it writes after the commit comes behind what
// was committed, and is not read.
func appendOnly(file *os.File) error {
	return control(file, func(fd uintptr) error {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err == nil {
			_, err = unix.FcntlInt(fd, unix.F_SETFL, flags|unix.O_APPEND)
		}
		return err
	})
}

// control does something with the descriptor of an open file.
func control(file *os.File, do func(fd uintptr) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var doErr error
	if err := raw.Control(func(fd uintptr) { doErr = do(fd) }); err != nil {
		return err
	}
	return doErr
}

func (s *server) commit(m callMessage) error {
	d := s.takeDraft(m.Draft)
	if d == nil {
		return s.reply(replyMessage{ID: m.ID}, errors.New("no such draft"))
	}
	size, err := d.Commit(s.ctx)
	return s.reply(replyMessage{ID: m.ID, Size: size}, err)
}

// takeDraft removes a draft from those that are open; nil when it is not one.
func (s *server) takeDraft(id uint64) *workspace.Draft {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.drafts[id]
	if d != nil { // else it is being made, or was never
		delete(s.drafts, id)
	}
	return d
}
