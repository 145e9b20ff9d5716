// Package engine runs one attempt of a task: from its input, through its guards
// and its body, to what is published and reported. Run in run.go is the path.
//
// No type of an SDK is in it: Conductor is behind package queue, the versioned
// store behind package workspace. The loop around attempts is engine/worker.
package engine
