//go:build !linux && !darwin

package folder

import (
	"errors"
	"os"
)

// exchange: this system cannot swap two names in one step.
func exchange(*os.File, string, *os.File, string) error { return errors.ErrUnsupported }

// syncAll makes what is in a folder last, as far as its names.
func syncAll(f *os.File) error { return f.Sync() }
