//go:build !linux

package main

// withoutLandlock has nothing to take away: only Linux has Landlock.
func withoutLandlock() { main() }
