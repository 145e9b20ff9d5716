package folder

import (
	"os"

	"golang.org/x/sys/unix"
)

// exchange swaps two names in one step.
func exchange(from *os.File, fromName string, to *os.File, toName string) error {
	return unix.RenameatxNp(int(from.Fd()), fromName, int(to.Fd()), toName, unix.RENAME_SWAP)
}

// syncAll writes everything that was written to the disk.
func syncAll(*os.File) error { return unix.Sync() }
