// Package workspace shows a commit of a versioned store as the private folder of one
// attempt.
//
// The lower layer is the listing of one commit, which never changes; the upper
// layer is what the attempt wrote. A content is fetched when it is opened, into a
// cache that all attempts share. The upper layer is the change, so it is known
// without walking or hashing the tree. Package publish publishes it.
//
// The package knows nothing of Starlark or of Conductor.
package workspace
