package main

import (
	"io/fs"
	"syscall"
)

// umask reads the process's file mode creation mask, which can only be read by
// setting it.
func umask() fs.FileMode {
	mask := syscall.Umask(0o077)
	syscall.Umask(mask)
	return fs.FileMode(mask)
}
