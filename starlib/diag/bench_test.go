package diag

import (
	"errors"
	"testing"

	"go.starlark.net/starlark"
)

// BenchmarkFromError is what catch pays for an error it recovers from.
func BenchmarkFromError(b *testing.B) {
	_, err := starlark.Call(new(starlark.Thread), starlark.Universe["float"], starlark.Tuple{starlark.String("1,5")}, nil)
	if err == nil {
		b.Fatal(errors.New("no error"))
	}
	for b.Loop() {
		FromError(err, nil)
	}
}
