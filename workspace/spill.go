package workspace

import (
	"errors"
	"os"
)

// SpillFolder makes a folder beside the written files, for what work on the
// attempt's files does not keep in memory. It goes with the attempt's own folder,
// if whoever asked for it does not remove it before.
func (o *Overlay) SpillFolder() (string, error) {
	if o.opts.Dir == "" {
		return "", errors.New("there is no folder for written files")
	}
	if err := os.MkdirAll(o.opts.Dir, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(o.opts.Dir, "spill-")
}
