package workspace

import (
	"context"

	"perago/workspace/paths"
	"perago/workspace/storage"
)

// Verify asks the store whether the input commit is there, unless that is known
// or goes without saying. ErrUnknownRepository, ErrUnknownCommit, or the store's
// error.
func (o *Overlay) Verify(ctx context.Context) error {
	switch s := o.store.(type) {
	case storage.LocalOpener:
		return nil
	case storage.Prober: // the cheapest question: what it is about is no matter
		_, err := s.Probe(ctx, o.ref.Repository, o.ref.Commit, o.lower.root+paths.ReservedFolders[0])
		return err
	}
	for _, err := range o.store.List(ctx, o.ref.Repository, o.ref.Commit, o.lower.root) {
		return err
	}
	return nil
}
