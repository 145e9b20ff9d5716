package isolate

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib"
)

// protocolVersion is what the child sends before anything else. Both ends are the
// same binary, unless it was replaced on disk where the running one cannot be
// named.
const protocolVersion = 2

// kind says what a frame is.
type kind byte

// The worker says load, run, reply and cancel; the child the others.
const (
	kindLoad   kind = 1
	kindRun    kind = 2
	kindReply  kind = 3
	kindCancel kind = 4
	kindTable  kind = 5 // to an engine of statements: what its statement may take
	kindHand   kind = 6 // the same: an open file that belongs to it; the last one is the way to the body

	kindReady    kind = 16 // the sandbox is on
	kindLoaded   kind = 17
	kindCall     kind = 18 // a request for a file
	kindRecord   kind = 19
	kindProgress kind = 20
	kindPassed   kind = 21 // a limit was passed, the body was asked to stop
	kindResult   kind = 22 // what the body returned: JSON as it is, just before done
	kindDone     kind = 23
	kindHost     kind = 24 // a call of a function of the program
	kindCounts   kind = 25 // how often each statement ran, before the result
	kindLocked   kind = 26 // of an engine of statements: it reaches nothing else any more
	kindFiles    kind = 27 // a request for an engine of statements, with the files that it is to have
)

// most is the longest payload of a kind, in bytes; 0 for a kind that is not one.
func (k kind) most() int {
	switch k {
	case kindLoad:
		return 64 << 20
	case kindRun:
		return 32 << 20
	case kindReply:
		return 4 << 20
	case kindCancel, kindProgress, kindPassed, kindHand, kindTable:
		return 16 << 10
	case kindReady, kindCall, kindLocked:
		return 64 << 10
	case kindFiles:
		return 8 << 20
	case kindRecord:
		return 1 << 20 // 64 KiB of text, every byte of it escaped
	case kindHost:
		return starlib.MaxHostBytes + 4<<10
	case kindLoaded, kindDone:
		return 2 << 20
	case kindResult:
		return engine.MaxResultBytes
	case kindCounts:
		return 4 * module.MaxStatements
	}
	return 0
}

// fromWorker says whether a kind is the worker's to send.
func (k kind) fromWorker() bool { return k < kindReady && k.most() > 0 }

// fromChild says whether a kind is the child's to send.
func (k kind) fromChild() bool { return k >= kindReady && k.most() > 0 }

// errProtocol: the other end said something that is not in the protocol.
var errProtocol = errors.New("protocol broken")

// headerSize is 4 bytes of length, little-endian, and one of kind.
const headerSize = 5

// conn carries frames over one end of a Unix stream socket. Any number of
// goroutines may send; one receives.
type conn struct {
	sock    *net.UnixConn
	sending sync.Mutex
	header  [headerSize]byte
	oob     []byte // room for one file; nil where files are never taken
}

// newConn takes over f, which must be a Unix stream socket. With files, what
// the other end passes along with a frame is kept; else it is dropped by the
// kernel unseen.
func newConn(f *os.File, files fileMode) (*conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	sock, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("not a Unix socket")
	}
	out := &conn{sock: sock}
	if files == takeFiles {
		out.oob = make([]byte, syscall.CmsgSpace(4))
	}
	return out, nil
}

// fileMode says whether an end takes open files.
type fileMode bool

const (
	noFiles   fileMode = false
	takeFiles fileMode = true
)

// send writes one frame, with file attached when it is not nil. The caller
// still owns file.
func (c *conn) send(k kind, payload any, file *os.File) error {
	body, plain := payload.(json.RawMessage)
	if !plain {
		var err error
		if body, err = json.Marshal(payload); err != nil {
			return fmt.Errorf("encode message: %w", err)
		}
	}
	return c.sendBytes(k, body, file)
}

// sendBytes writes one frame.
func (c *conn) sendBytes(k kind, body []byte, file *os.File) error {
	if len(body) > k.most() {
		return fmt.Errorf("message of %d bytes: at most %d fit", len(body), k.most())
	}
	frame := make([]byte, headerSize, headerSize+len(body))
	binary.LittleEndian.PutUint32(frame, uint32(len(body)))
	frame[4] = byte(k)
	frame = append(frame, body...)
	c.sending.Lock()
	defer c.sending.Unlock()
	if file == nil {
		_, err := c.sock.Write(frame)
		return err
	}
	return c.sendWithFile(frame, file)
}

// sendWithFile attaches file to the first bytes of frame.
func (c *conn) sendWithFile(frame []byte, file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var sendErr error
	err = raw.Control(func(fd uintptr) {
		n, _, sendErr = c.sock.WriteMsgUnix(frame, syscall.UnixRights(int(fd)), nil)
	})
	if err = errors.Join(err, sendErr); err != nil {
		return err
	}
	_, err = c.sock.Write(frame[n:])
	return err
}

// receive reads the next frame whose kind is allowed. The payload is the
// caller's, and so is file, nil when none came along. io.EOF is a connection
// closed between two frames.
func (c *conn) receive(allowed func(kind) bool) (k kind, payload []byte, file *os.File, err error) {
	file, err = c.readHeader()
	defer func() {
		if err != nil && file != nil {
			file.Close()
			file = nil
		}
	}()
	if err != nil {
		return 0, nil, file, err
	}
	k = kind(c.header[4])
	size := int64(binary.LittleEndian.Uint32(c.header[:4]))
	switch {
	case !allowed(k):
		return k, nil, file, fmt.Errorf("%w: frame of kind %d", errProtocol, k)
	case size > int64(k.most()):
		return k, nil, file, fmt.Errorf("%w: frame of %d bytes, at most %d fit kind %d", errProtocol, size, k.most(), k)
	}
	if payload, err = readPayload(c.sock, size); err != nil {
		return k, nil, file, fmt.Errorf("%w: frame cut short: %w", errProtocol, err)
	}
	return k, payload, file, nil
}

// readPayload reads size bytes. Memory grows with what has come, not with what
// was announced.
func readPayload(r io.Reader, size int64) ([]byte, error) {
	const step = 64 << 10
	payload := make([]byte, 0, min(size, step))
	for int64(len(payload)) < size {
		n := min(size-int64(len(payload)), step)
		start := len(payload)
		payload = append(payload, make([]byte, n)...)
		if _, err := io.ReadFull(r, payload[start:]); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return payload, nil
}

// readHeader reads the header of a frame, and the file that came with it.
func (c *conn) readHeader() (file *os.File, err error) {
	if c.oob == nil {
		if _, err := io.ReadFull(c.sock, c.header[:]); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("%w: frame cut short: %w", errProtocol, err)
			}
			return nil, err
		}
		return nil, nil
	}
	for have := 0; have < headerSize; {
		n, oobn, _, _, err := c.sock.ReadMsgUnix(c.header[have:], c.oob)
		if oobn > 0 && file == nil {
			if file, err = fileOf(c.oob[:oobn]); err != nil {
				return nil, err
			}
		}
		if err != nil {
			return file, err
		}
		if n == 0 {
			return file, io.EOF
		}
		have += n
	}
	return file, nil
}

// fileOf is the open file in a control message.
func fileOf(oob []byte) (*os.File, error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("%w: control message", errProtocol)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("%w: %d files", errProtocol, len(fds))
	}
	syscall.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "file from the worker"), nil
}
