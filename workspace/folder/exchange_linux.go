package folder

import (
	"os"

	"golang.org/x/sys/unix"
)

// exchange swaps two names in one step.
func exchange(from *os.File, fromName string, to *os.File, toName string) error {
	return unix.Renameat2(int(from.Fd()), fromName, int(to.Fd()), toName, unix.RENAME_EXCHANGE)
}

// syncAll writes everything of the file system of f to the disk, in one call for any
// number of files.
func syncAll(f *os.File) error { return unix.Syncfs(int(f.Fd())) }
