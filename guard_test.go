package perago_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"perago"
)

// unguarded is told to be a program that forgot Main.
const unguarded = "PERAGO_TEST_UNGUARDED"

// forgetful is that program: it tells of its start and of what became of a task.
func forgetful() {
	fmt.Println("main")
	task, err := perago.Load("testdata/embedding/count.star", nil)
	if err == nil {
		_, err = task.Run(context.Background(), nil, &perago.RunOptions{Folder: "testdata/embedding/data"})
	}
	fmt.Println(err)
}

func TestMainThatWasNotCalled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), unguarded+"=1")
	out, err := c.CombinedOutput()
	if got := string(out); err != nil || strings.Count(got, "main\n") != 1 || !strings.Contains(got, "call perago.Main() first in main") {
		t.Errorf("a program without Main: %v, got:\n%s\nwant one start, and to be told of Main", err, got)
	}
}
