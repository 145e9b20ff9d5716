//go:build linux

package worker

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A worker that sleeps through its lease, at any point of its publication, and
// wakes when another has taken over: there is one commit, whoever wakes first,
// and nobody claims another.
func TestSleptThroughItsLease(t *testing.T) {
	tests := []struct {
		point string
		early bool // it wakes while its successor runs the body; else after the workflow has completed
	}{
		{"step ran", false}, {"step checked", false}, {"branched", false}, {"staged", false},
		{"fenced", false}, {"merging", false}, {"published", false}, {"step published", false},
		{"step ran", true}, {"step checked", true}, {"branched", true}, {"staged", true},
		{"fenced", true}, {"merging", true},
	}
	for _, tt := range tests {
		name := tt.point + ", wakes late"
		if tt.early {
			name = tt.point + ", wakes early"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, quick)
			id := s.start()
			roots := []string{s.root(), s.root()}
			env, asleep := s.fault(tt.point, "stop")
			first := s.worker(roots[0], env...)
			eventually(t, "the first worker sleeps", func() bool { return exists(asleep) })

			var held string
			env = nil
			if tt.early {
				env, held = s.fault("step ran", "hold")
			}
			second := s.worker(roots[1], env...)
			if tt.early {
				eventually(t, "the second worker has run the body", func() bool { return exists(held) })
				first.signal(syscall.SIGCONT)
				first.logs(`msg="attempt finished"`)
				if made := s.history(); len(made) != 0 {
					t.Errorf("the sleeper published: %+v", made)
				}
				must(t, os.Remove(held))
			}
			w := s.ends(id)
			commit := s.publishedOnce(id, w)
			if !tt.early {
				first.signal(syscall.SIGCONT)
				first.logs(`msg="attempt finished"`)
			}
			for _, p := range []*process{first, second} {
				p.signal(syscall.SIGTERM)
				p.exits(0)
			}
			if again := s.publishedOnce(id, s.ends(id)); again != commit {
				t.Errorf("commit: got %s, then %s", commit, again)
			}
			claimed := claims(first.log() + second.log())
			if len(claimed) == 0 {
				t.Error("no worker logged the publication")
			}
			for _, claim := range claimed {
				if claim != commit {
					t.Errorf("a worker claims %s, and main has %s", claim, commit)
				}
			}
			if tt.early && strings.Contains(first.log(), "status=COMPLETED") {
				t.Error("the sleeper completed, and had published nothing")
			}
			// It was ended while a branch was being made, perhaps: the record of
			// that one stays for the sweep of its next start.
			again := s.worker(roots[0])
			again.logs("msg=swept")
			again.signal(syscall.SIGTERM)
			again.exits(0)
			s.nothingLeft(roots...)
			t.Logf("%d attempts; the sleeper: %s", len(w.Tasks), status.FindString(first.log()))
		})
	}
}

var (
	claim  = regexp.MustCompile(`msg=(?:published|adopted) .*\bto=([0-9a-f]{64})`)
	status = regexp.MustCompile(`status=\S+ reason=("[^"]*"|\S+)`)
)

// claims are the commits that workers called theirs.
func claims(log string) (commits []string) {
	for _, m := range claim.FindAllStringSubmatch(log, -1) {
		commits = append(commits, m[1])
	}
	return commits
}
