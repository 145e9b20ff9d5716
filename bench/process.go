package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// memory of a process and of all that descend from it, in bytes: proportional
// set sizes, so that what they share counts once.
type memory struct{ own, descendants int64 }

func (m memory) sum() int64 { return m.own + m.descendants }

// memoryOf reads /proc; a process that ends meanwhile counts as nothing.
func memoryOf(pid int) (memory, error) {
	parents, err := parentOf()
	if err != nil {
		return memory{}, err
	}
	m := memory{own: pss(pid)}
	for child := range parents {
		for p := parents[child]; p > 1; p = parents[p] {
			if p == pid {
				m.descendants += pss(child)
				break
			}
		}
	}
	return m, nil
}

// parentOf maps every process to its parent.
func parentOf() (map[int]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	parents := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// pid (name) state ppid: the name may hold anything, so count from its end.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 1 {
			parents[pid], _ = strconv.Atoi(fields[1])
		}
	}
	return parents, nil
}

func pss(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// timed runs a command once, in dir and with env, and returns how long it took
// from start to end; nil is the environment of this process.
func timed(ctx context.Context, dir string, env []string, name string, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return time.Since(start), nil
}

// watched runs a command once and returns its time and the most memory that it
// and its descendants held together, sampled every 10 ms.
func watched(ctx context.Context, dir string, name string, args ...string) (time.Duration, int64, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var peak int64
	for {
		select {
		case err := <-done:
			if err != nil {
				err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, stderr.Bytes())
			}
			return time.Since(start), peak, err
		case <-tick.C:
			if m, err := memoryOf(cmd.Process.Pid); err == nil {
				peak = max(peak, m.sum())
			}
		}
	}
}
