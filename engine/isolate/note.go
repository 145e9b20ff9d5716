package isolate

import (
	"encoding/binary"
	"os"
	"strings"
	"sync/atomic"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sys/unix"

	"perago/starlib"
)

// The note is one page of memory that the child writes and the worker reads
// once the child is gone: which builtin it had entered last and where that was
// called, and the most live memory it saw. Writing costs no system call.
//
//	0   uint32  which of the two slots is valid, 0 or 1
//	8   uint64  peak of live memory, in bytes
//	64  slot 0, 512 slot 1: uint32 line, uint32 column, a byte of length and
//	    the builtin's name, a byte of length and the file's name
//	960 a slot without a name: where a body was that did not stop
//
// A slot is filled before it is made the valid one, so a process that dies in the
// middle of a write leaves the other slot.
const (
	noteSize   = 4096
	noteWhich  = 0
	notePeak   = 8
	noteName   = 64  // longest name of a builtin, in bytes
	noteFile   = 255 // longest name of a file; of a longer one, its end
	noteFields = 8
	noteStuck  = 960
)

func noteSlot(which uint32) int { return 64 + 448*int(which&1) }

// note is the child's side.
type note struct{ page []byte }

// mapNote maps the page behind f into memory, and closes f.
func mapNote(f *os.File) (*note, error) {
	defer f.Close()
	page, err := unix.Mmap(int(f.Fd()), 0, noteSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &note{page: page}, nil
}

// enter notes that a builtin is about to do its work. Only the body's thread
// may call it.
func (n *note) enter(builtin string, at starlib.Position) {
	holds := (*uint32)(unsafe.Pointer(&n.page[noteWhich]))
	next := atomic.LoadUint32(holds) ^ 1
	putSlot(n.page[noteSlot(next):], builtin, at)
	atomic.StoreUint32(holds, next)
}

// stuck notes where a body is that does not stop.
func (n *note) stuck(at starlib.Position) { putSlot(n.page[noteStuck:], "", at) }

func putSlot(slot []byte, builtin string, at starlib.Position) {
	rest := putText(slot[noteFields:], builtin[:min(len(builtin), noteName)])
	putText(rest, at.File[max(0, len(at.File)-noteFile):])
	binary.LittleEndian.PutUint32(slot[4:], uint32(at.Column))
	binary.LittleEndian.PutUint32(slot, uint32(at.Line))
}

// peak notes a new maximum of live memory, in bytes.
func (n *note) peak(bytes int64) {
	atomic.StoreInt64((*int64)(unsafe.Pointer(&n.page[notePeak])), bytes)
}

func putText(to []byte, s string) (rest []byte) {
	to[0] = byte(len(s))
	copy(to[1:], s)
	return to[1+len(s):]
}

// lastState is what the worker reads from the note of a child.
type lastState struct {
	Builtin string           // "" when none was entered
	At      starlib.Position // where it was called
	Stuck   starlib.Position // where the body did not stop; zero when that is not known
	Peak    int64            // bytes of live memory; 0 is not known
}

// readNote reads the page behind f. Whatever a child wrote there, the answer is
// printable and of bounded length.
func readNote(f *os.File) lastState {
	page := make([]byte, noteSize)
	if n, _ := f.ReadAt(page, 0); n != noteSize {
		return lastState{}
	}
	var w lastState
	w.Peak = max(0, int64(binary.NativeEndian.Uint64(page[notePeak:])))
	w.Builtin, w.At = getSlot(page[noteSlot(binary.NativeEndian.Uint32(page[noteWhich:])):])
	_, w.Stuck = getSlot(page[noteStuck:])
	return w
}

func getSlot(slot []byte) (builtin string, at starlib.Position) {
	at.Line = int(binary.LittleEndian.Uint32(slot) & 0x7fffffff)
	at.Column = int(binary.LittleEndian.Uint32(slot[4:]) & 0x7fffffff)
	builtin, rest := getText(slot[noteFields:])
	at.File, _ = getText(rest)
	return builtin, at
}

func getText(from []byte) (s string, rest []byte) {
	n := int(from[0])
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, string(from[1:1+n]))
	return s, from[1+n:]
}
