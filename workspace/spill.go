package workspace

import (
	"errors"
	"os"
)

// SpillFolder makes a folder beside the written files, for data that an operation
// on the attempt's files cannot keep in memory. It is removed with the attempt's own
// folder, unless the caller removes it before.
func (o *Overlay) SpillFolder() (string, error) {
	if o.opts.Dir == "" {
		return "", errors.New("there is no folder for written files")
	}
	if err := os.MkdirAll(o.opts.Dir, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(o.opts.Dir, "spill-")
}
