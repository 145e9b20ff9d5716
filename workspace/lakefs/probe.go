package lakefs

import (
	"context"
	"strings"

	"perago/workspace/storage"
)

var _ storage.Prober = (*Store)(nil)

// Probe looks up one path, by a listing of the names that start with it. The object
// itself comes first, and mostly what is below it next. Where other names come in
// between, "a.csv" for "a", it takes a second request.
func (s *Store) Probe(ctx context.Context, repo, commit, path string) (p storage.Probed, err error) {
	namespace, err := s.namespace(ctx, repo)
	if err != nil {
		return p, err
	}
	below := path + "/"
	for _, prefix := range []string{path, below} {
		page, err := s.page(ctx, repo, commit, pageRequest{prefix: prefix, most: 2})
		if err != nil {
			return storage.Probed{}, err
		}
		for _, o := range page.Results {
			switch {
			case o.Path == path:
				p.File, p.Object = true, object(o, namespace)
			case strings.HasPrefix(o.Path, below):
				p.Below = o.Path
				return p, nil
			case o.Path > below:
				return p, nil
			}
		}
		if !page.Pagination.HasMore {
			return p, nil
		}
	}
	return p, nil
}
