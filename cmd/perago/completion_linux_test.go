package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestCompletionInBash types at a real bash, which calls the completion function
// itself when Tab is pressed; perago is a function there that tells what it got.
func TestCompletionInBash(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"tasks.star": "", "notes.txt": "", "my task.star": ""} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("data", 0o755); err != nil {
		t.Fatal(err)
	}
	script, err := exec.Command("perago", "completion", "bash").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("perago.bash", script, 0o644); err != nil {
		t.Fatal(err)
	}
	user, program := terminal(t)
	bash := exec.Command("bash", "--norc", "--noprofile", "-i")
	bash.Env = append(os.Environ(), "TERM=dumb", "PS1=", "HISTFILE=", "INPUTRC=/dev/null")
	bash.Stdin, bash.Stdout, bash.Stderr = program, program, program
	bash.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	defer bash.Wait()
	defer bash.Process.Kill()
	p := &typist{t: t, user: user}
	p.keys("perago() { printf 'got'; printf '<%s>' \"$@\"; echo; }; . ./perago.bash; printf 'rea%s\\n' dy\r", "ready\r\n")
	for _, c := range []struct{ typed, want string }{
		{"perago expl\t", "got<explain>"},
		{"perago check --form\tjs\t", "got<check><--format><json>"},
		{"perago check --format=gi\t", "got<check><--format=github>"},
		{"perago start --isolation be\t", "got<start><--isolation><best-effort>"},
		{"perago run ta\t", "got<run><tasks.star>"},
		{"perago run my\t", "got<run><my task.star>"},
		{"perago run no\t", "got<run><no>"}, // notes.txt is no task file
		{"perago run tasks.star --workspace da\t", "got<run><tasks.star><--workspace><data/>"},
		{"perago explain P210\t3", "got<explain><P2103>"},
		{"perago docs csv.dict_rea\t", "got<docs><csv.dict_reader>"},
	} {
		p.keys(c.typed+"\r", c.want+"\r\n")
	}
}
