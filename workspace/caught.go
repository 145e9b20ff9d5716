package workspace

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// PanicError is a fault of perago itself, caught before it could end the process.
type PanicError struct {
	Value any
	Stack string
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("perago itself failed: %v; please report it with the task's log", e.Value)
}

// Caught is do with a panic turned into a *PanicError. A panic that leaves a
// goroutine ends the process with all of its attempts, so whatever works for an
// attempt in a goroutine of its own runs in Caught, or is started with Go.
func Caught(do func() error) func() error {
	return func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = &PanicError{Value: v, Stack: string(debug.Stack())}
			}
		}()
		return do()
	}
}

// Go runs do in a goroutine of group. failed is told of a panic of do, in the
// same goroutine, and has to end the attempt that do worked for.
func Go(group *sync.WaitGroup, failed func(error), do func()) {
	group.Go(func() {
		err := Caught(func() error { do(); return nil })()
		if err != nil {
			failed(err)
		}
	})
}
