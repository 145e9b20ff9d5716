package workspace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// newBlob makes the next file of the upper layer, open for writing.
func (o *Overlay) newBlob() (*os.File, error) {
	if o.opts.Dir == "" {
		return nil, errors.New("there is no folder for written files")
	}
	o.mu.Lock()
	o.blobs++
	name := filepath.Join(o.opts.Dir, fmt.Sprintf("%06d", o.blobs))
	o.mu.Unlock()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(o.opts.Dir, 0o700); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	return f, err
}

// openCommitted opens the first size bytes of a blob: what it was when it was
// committed. Whoever has had it open for appending may have added to it since.
func openCommitted(name string, size int64) (io.ReadSeekCloser, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(f, 0, size), f}, nil
}
