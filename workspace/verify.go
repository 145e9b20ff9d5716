package workspace

import "context"

// Verify asks the store whether the input commit is there, unless that is
// known. ErrUnknownRepository, ErrUnknownCommit, or the store's error.
func (o *Overlay) Verify(ctx context.Context) error {
	for _, err := range o.store.List(ctx, o.ref.Repository, o.ref.Commit, asPrefix(o.opts.Spec.Prefix)) {
		return err
	}
	return nil
}
