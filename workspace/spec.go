package workspace

import "strings"

// Spec is what workspace_spec(...) declares, checked.
type Spec struct {
	Prefix    string // folder of the repository that the task sees as its root, "a/b"; "" is the whole repository
	Pre, Post []Guard
	ReadOnly  bool // writing is an error, nothing is published
}

// reserved are the folders at the root of a repository that belong to the
// server and to publication; no workspace shows them, whatever its prefix.
var reserved = [...]string{"_lakefs_actions", "_perago"}

// CleanPrefix makes the prefix of a Spec of what an author wrote: outer white
// space and leading slashes are dropped, and "/" is the whole repository. Its
// error is a *PathError.
func CleanPrefix(s string) (string, error) {
	trimmed := strings.TrimSpace(s)
	p := strings.TrimLeft(trimmed, "/")
	if p == "" && trimmed != "" {
		return "", nil
	}
	reason := badPath(p)
	switch {
	case reason == "" && !nameable(p):
		reason = "has a control character"
	case reason == "" && isReserved(p):
		reason = "is reserved for perago and the server"
	}
	if reason != "" {
		return "", &PathError{Path: s, Reason: reason}
	}
	return p, nil
}

// isReserved says whether a path of the repository is in a reserved folder.
func isReserved(path string) bool {
	for _, folder := range reserved {
		if path == folder || under(path, folder) {
			return true
		}
	}
	return false
}
