package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Nothing is left of a test that runs when perago is ended, or killed: no
// process that works on, and after Ctrl-C no folder.
func TestNothingOutlivesTest(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"empty.star":      "task(name = \"t.empty\")\n\ndef run(params):\n    pass\n",
		"loop_test.star":  "def test_first(t):\n    t.run(\"empty.star\")\n\ndef test_loop(t):\n    for _ in range(1 << 60):\n        pass\n",
		"stuck_test.star": "def test_first(t):\n    t.ok(True)\n\ndef test_stuck(t):\n    a, b = [0] * 1000000, [0] * 1000000\n    t.ok([a] * 1000000 == [b] * 1000000)\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"loop_test.star", "stuck_test.star"} {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
			t.Run(file+" "+signal.String(), func(t *testing.T) {
				t.Parallel()
				// All processes of the test have this pipe, but for those of bodies.
				alive, held, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer alive.Close()
				temp := t.TempDir()
				cmd := exec.Command("perago", "test", file)
				cmd.Dir, cmd.Env, cmd.ExtraFiles = dir, append(os.Environ(), "TMPDIR="+temp), []*os.File{held}
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				err = cmd.Start()
				held.Close()
				if err != nil {
					t.Fatal(err)
				}
				line, err := bufio.NewReader(out).ReadString('\n')
				if !strings.HasPrefix(line, "ok    "+file+"  test_first") {
					t.Errorf("got %q, %v; want the first test passed", line, err)
				}
				cmd.Process.Signal(signal)
				io.Copy(io.Discard, alive) // until they are gone
				err = cmd.Wait()
				if signal == syscall.SIGKILL {
					return
				}
				if code, err := codeOf(err); code != exitInterrupted {
					t.Errorf("got exit %d, %v; want %d", code, err, exitInterrupted)
				}
				if left, err := os.ReadDir(temp); len(left) > 0 || err != nil {
					t.Errorf("left behind: %v, %v", left, err)
				}
			})
		}
	}
}
