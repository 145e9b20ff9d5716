package perago

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestGoroutinePanics: a panic that leaves a goroutine ends the process with
// all of its attempts, so in the packages that work for attempts goroutines are
// started with panics.Go, or run in panics.ToError. The others are here,
// each with what it has in their place.
func TestGoroutinePanics(t *testing.T) {
	others := map[string]string{
		"engine/module/toplevel.go": "recovers, and hands the panic to who waits",
		"engine/isolate/pool.go":    "starts processes, each start in ToError",
		"engine/isolate/child.go":   "is in the child: it ends with its body",
		"engine/worker/lease.go":    "keeps the lease in ToError",
		"engine/worker/worker.go":   "the worker's own loops: nothing is left to go on without them",
	}
	for _, root := range []string{"engine", "starlib", "workspace"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			path = filepath.ToSlash(path)
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || others[path] != "" ||
				strings.HasPrefix(path, "engine/queuetest/") || strings.HasPrefix(path, "workspace/storetest/") {
				return err
			}
			files := token.NewFileSet()
			tree, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if startsUncaught(n) {
					t.Errorf("%s: a panic in this goroutine ends the worker; use panics.Go or panics.ToError", files.Position(n.Pos()))
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// startsUncaught says whether n is a go statement, or x.Go(f) with any f but ToError(...).
func startsUncaught(n ast.Node) bool {
	if _, is := n.(*ast.GoStmt); is {
		return true
	}
	call, is := n.(*ast.CallExpr)
	if !is || len(call.Args) != 1 {
		return false
	}
	if method, is := call.Fun.(*ast.SelectorExpr); !is || method.Sel.Name != "Go" {
		return false
	}
	inner, is := call.Args[0].(*ast.CallExpr)
	if !is {
		return true
	}
	switch f := inner.Fun.(type) {
	case *ast.Ident:
		return f.Name != "ToError"
	case *ast.SelectorExpr:
		return f.Sel.Name != "ToError"
	}
	return true
}
