package engine

import (
	"fmt"
	"sync"
	"unicode/utf8"

	"perago/starlib"
)

const (
	taskLogMax = 32 << 10 // bytes of an attempt's log at the server, in all
	storyMax   = 16 << 10 // of these, kept for the story of a failure
)

// taskLog holds the lines of an attempt that the server has not seen yet, within
// what an attempt may send in all. Once its share is used up, lines are counted
// and no longer kept: the attempt's own log has them. The zero value is empty.
type taskLog struct {
	mu       sync.Mutex
	lines    []string
	used     int // bytes, of everything that was ever kept
	dropped  int // lines
	progress string
}

// add appends a line of the body.
func (t *taskLog) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(line, taskLogMax-storyMax)
}

// setProgress remembers the newest progress; take makes a line of it.
func (t *taskLog) setProgress(p starlib.Progress) {
	line := fmt.Sprintf("progress %g", p.Done)
	if p.Total > 0 {
		line += fmt.Sprintf("/%g", p.Total)
	}
	if p.Message != "" {
		line += " " + p.Message
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress = line
}

// addStory appends the story of a failure, which has a share of its own.
func (t *taskLog) addStory(story string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.putProgress()
	if t.dropped > 0 {
		t.lines = append(t.lines, fmt.Sprintf("… %d more lines are in the worker's log", t.dropped))
		t.dropped = 0
	}
	t.put(cutBytes(story, storyMax-256), taskLogMax)
}

// put keeps line when it and its newline fit into most; the lock is held.
func (t *taskLog) put(line string, most int) {
	if t.dropped > 0 || t.used+len(line)+1 > most {
		t.dropped++
		return
	}
	t.used += len(line) + 1
	t.lines = append(t.lines, line)
}

// take hands over the lines that are there.
func (t *taskLog) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.putProgress()
	lines := t.lines
	t.lines = nil
	return lines
}

func (t *taskLog) putProgress() {
	if t.progress != "" {
		t.put(t.progress, taskLogMax-storyMax)
		t.progress = ""
	}
}

// putBack returns lines that take had handed over.
func (t *taskLog) putBack(lines []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(lines, t.lines...)
}

// cutBytes shortens s to at most n bytes, at the start of a character.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n -= len("…"); n > 0 && !utf8.RuneStart(s[n]); n-- {
	}
	return s[:n] + "…"
}
