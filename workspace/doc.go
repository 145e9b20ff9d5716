// Package workspace is a versioned tree seen as one attempt's private folder.
//
// The lower layer is the listing of one commit, which never changes; the upper
// layer is what the attempt wrote. Content comes when it is touched, into a
// cache that all attempts share. What was written is known without walking or
// hashing the tree: the upper layer is the change, and publishing it is one
// atomic step of the store (publish.go).
//
// The package knows nothing of Starlark or of Conductor.
package workspace
