// Package engine runs one attempt, and the loop around it: load a task file,
// make its TaskDef, and for every attempt the pipeline of Runner.Run.
//
// No type of an SDK is in it: Conductor is behind Queue and Leaser, the
// versioned store behind package workspace.
package engine
