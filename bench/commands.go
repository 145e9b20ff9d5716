package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// commands measures perago as a whole process, beside the smallest Go program.
func commands(ctx context.Context, dir string) ([]figure, error) {
	perago, empty, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	checked, err := check(ctx, dir, perago, empty)
	if err != nil {
		return nil, err
	}
	three, err := threeOfMany(ctx, dir, perago)
	if err != nil {
		return checked, err
	}
	stream, err := oneGigabyte(ctx, dir, perago)
	return append(append(checked, three...), stream...), err
}

// build makes perago and a program that does nothing.
func build(ctx context.Context, dir string) (perago, empty string, err error) {
	perago, empty = filepath.Join(dir, "perago"), filepath.Join(dir, "empty")
	source := filepath.Join(dir, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return "", "", err
	}
	if err := goBuild(ctx, "perago", perago, "./cmd/perago"); err != nil {
		return "", "", err
	}
	if err := goBuild(ctx, "perago", empty, source); err != nil {
		return "", "", err
	}
	return perago, empty, nil
}

// goBuild builds a package of one of this project's modules; without cgo, as
// docs/operations.md advises, unless env says otherwise.
func goBuild(ctx context.Context, module, to, pkg string, env ...string) error {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("go list -m %s: %w (run bench inside the project)", module, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", to, pkg)
	cmd.Dir = strings.TrimSpace(string(dir))
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", pkg, err, out)
	}
	return nil
}

func check(ctx context.Context, dir, perago, empty string) ([]figure, error) {
	file := filepath.Join(dir, "tiny.star")
	var ours, theirs []time.Duration
	for range 21 {
		o, err := timed(ctx, dir, nil, perago, "check", file)
		if err != nil {
			return nil, err
		}
		t, err := timed(ctx, dir, nil, empty)
		if err != nil {
			return nil, err
		}
		ours, theirs = append(ours, o), append(theirs, t)
	}
	o, t := median(ours), median(theirs)
	return []figure{{What: "perago check of one file, the whole process", Got: round(o), Beside: "an empty Go program " + round(t),
		Ratio: float64(o) / float64(t), Bound: "under 15ms", Holds: o < 15*time.Millisecond}}, nil
}

const readThree = `
task(name = "three", result = schema(size = int), workspace = workspace_spec(pre = [require_file("many/000000.txt")]))

def run(workspace, params):
    size = 0
    for n in ["000001", "050000", "099999"]:
        size += len((workspace / "many" / (n + ".txt")).read_text())
    return {"size": size}
`

// threeOfMany runs a task over a plain folder of 100,000 files.
func threeOfMany(ctx context.Context, dir, perago string) ([]figure, error) {
	folder := filepath.Join(dir, "hundred-thousand")
	if err := os.MkdirAll(filepath.Join(folder, "many"), 0o700); err != nil {
		return nil, err
	}
	for i := range 100_000 {
		if err := os.WriteFile(filepath.Join(folder, "many", fmt.Sprintf("%06d.txt", i)), []byte("abc"), 0o600); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(dir, "three.star")
	if err := os.WriteFile(file, []byte(readThree), 0o600); err != nil {
		return nil, err
	}
	var times []time.Duration
	for range 5 {
		d, err := timed(ctx, dir, nil, perago, "run", file, "--workspace", folder)
		if err != nil {
			return nil, err
		}
		times = append(times, d)
	}
	out, err := exec.CommandContext(ctx, perago, "run", file, "--workspace", folder, "--format", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("run --format json: %w", err)
	}
	var report struct {
		Usage struct {
			Objects int `json:"objects_read"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, err
	}
	d, read := median(times), report.Usage.Objects
	return []figure{{What: "a task that reads 3 of 100,000 files of a folder", Got: fmt.Sprintf("%s, %d read", round(d), read),
		Bound: "under 0.5s, 3 read", Holds: d < time.Second/2 && read == 3}}, nil
}

const streamOne = `
task(name = "stream", result = schema(lines = int, digest = str), workspace = workspace_spec())

def run(workspace, params):
    big = workspace / "big.txt"
    lines = 0
    for _ in big.lines():
        lines += 1
    big.copy(workspace / "copy.txt")
    with_end = (workspace / "end.txt").open("w")
    for chunk in range(1):
        with_end.write("end")
    with_end.close()
    return {"lines": lines, "digest": hash.sha256(big)}
`

// oneGigabyte streams, hashes and copies a file of 1 GiB.
func oneGigabyte(ctx context.Context, dir, perago string) ([]figure, error) {
	folder := filepath.Join(dir, "gigabyte")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(folder, "big.txt"))
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	line := fmt.Appendf(nil, "%0127d\n", 7)
	for range (1 << 30) / len(line) {
		w.Write(line) // the error stays until Flush
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "stream.star")
	if err := os.WriteFile(file, []byte(streamOne), 0o600); err != nil {
		return nil, err
	}
	d, peak, err := watched(ctx, dir, perago, "run", file, "--workspace", folder)
	if err != nil {
		return nil, err
	}
	return []figure{{What: "1 GiB by lines(), hashed and copied: memory of perago and its child", Got: fmt.Sprintf("%s in %s", megabytes(peak), round(d)),
		Bound: "under 60 MB", Holds: peak < 60<<20}}, nil
}
