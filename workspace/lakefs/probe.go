package lakefs

import (
	"context"
	"strings"

	"perago/workspace/storage"
)

var _ storage.Prober = (*Store)(nil)

// Probe asks for one path. The object comes first of all whose names start with
// the path, and what is below it mostly next; only where other names come in
// between, "a.csv" for "a", is a second request needed.
func (s *Store) Probe(ctx context.Context, repo, commit, path string) (p storage.Probed, err error) {
	namespace, err := s.namespace(ctx, repo)
	if err != nil {
		return p, err
	}
	below := path + "/"
	for _, prefix := range []string{path, below} {
		page, err := s.page(ctx, repo, commit, span{prefix: prefix, most: 2})
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
