// Package panics turns a panic in a goroutine into an error of what it worked
// for. A panic that leaves a goroutine would end the process with all of its
// attempts.
package panics

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// Error is a fault of perago itself, caught before it could end the process.
type Error struct {
	Value any
	Stack string
}

func (e *Error) Error() string {
	return fmt.Sprintf("perago itself failed: %v; please report it with the task's log", e.Value)
}

// ToError returns a function that calls do and turns a panic of it into an
// *Error. What works for an attempt in a goroutine of its own is wrapped in
// ToError, or started with Go.
func ToError(do func() error) func() error {
	return func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = &Error{Value: v, Stack: string(debug.Stack())}
			}
		}()
		return do()
	}
}

// Go runs do in a goroutine of group. When do panics, failed is called with the
// *Error in the same goroutine, and has to end the attempt that do worked for.
func Go(group *sync.WaitGroup, failed func(error), do func()) {
	group.Go(func() {
		err := ToError(func() error { do(); return nil })()
		if err != nil {
			failed(err)
		}
	})
}
