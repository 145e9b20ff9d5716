//go:build !linux && !darwin

package folder

import (
	"errors"
	"os"
)

// exchange fails: this system cannot swap two names in one step.
func exchange(*os.File, string, *os.File, string) error { return errors.ErrUnsupported }

// syncAll writes the names in a folder to the disk.
func syncAll(f *os.File) error { return f.Sync() }
