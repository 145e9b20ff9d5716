// Package localfile does what package os leaves out for files of this machine:
// copying that ends with a context, and changes that outlast a loss of power.
package localfile

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// Sync writes a file, or the names in a folder, to the disk, so that a loss of power keeps them.
func Sync(f *os.File) error {
	// Some file systems refuse to sync a folder, because they have nothing to write.
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

// CopyChunk is how many bytes are copied between two checks of the context.
const CopyChunk = 8 << 20

// Copy copies until the end of from, which is expected after size bytes. Between
// two plain files the system copies without moving the bytes through this process,
// where it can.
func Copy(ctx context.Context, to io.Writer, from io.Reader, size int64) (int64, error) {
	chunk := min(CopyChunk, max(size, 0)+1) // a small file takes a small buffer
	var total int64
	for {
		if ctx.Err() != nil {
			return total, context.Cause(ctx)
		}
		n, err := io.CopyN(to, from, chunk)
		total += n
		switch {
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		}
	}
}
