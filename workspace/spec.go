package workspace

// Spec is what workspace_spec(...) declares, checked.
type Spec struct {
	Prefix    string // folder of the repository that the task sees as its root, "a/b"; "" is the whole repository
	Pre, Post []Guard
	ReadOnly  bool // writing is an error, nothing is published
	Rebase    bool // publish on a branch that moved, where that changes nothing for the attempt
}

// Ref pins what an attempt reads and names where it publishes.
type Ref struct {
	Repository string // name of the repository; "" for a plain folder
	Branch     string // target branch, B in docs/publication.md
	Commit     string // input commit, A: a full commit id (64 hex digits at lakeFS)
}
