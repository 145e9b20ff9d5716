package workspace

// Ref pins what an attempt reads and names where it publishes.
type Ref struct {
	Repository string // name of the repository; "" for a plain folder
	Branch     string // target branch, B in docs/publication.md
	Commit     string // input commit, A: a full commit id (64 hex digits at lakeFS)
}
