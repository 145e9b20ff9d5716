//go:build linux

package worker

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"perago/e2e/servers"
	"perago/e2e/wire"
)

const (
	networkSeed      = 4
	networkWorkflows = 15
	faultRate        = 0.08 // of all requests, of either server
)

// badNetwork is a proxy in front of a server. The order of the fates is given
// by the seed; which request meets which is the network's.
func badNetwork(t *testing.T, target string, seed uint64) (*wire.Proxy, string) {
	bad := []wire.Fate{wire.Dropped, wire.Lost, wire.Late, wire.Doubled, wire.Slow, wire.Cut}
	chance := rand.New(rand.NewPCG(networkSeed, seed))
	p := &wire.Proxy{Target: target, Delay: 300 * time.Millisecond, Plan: func(int, *http.Request) wire.Fate {
		if chance.Float64() < faultRate {
			return bad[chance.IntN(len(bad))]
		}
		return wire.Pass
	}}
	s := httptest.NewServer(p)
	over := make(chan struct{})
	released := make(chan struct{})
	go func() { // what is late arrives within a second
		defer close(released)
		for tick := time.Tick(time.Second); ; p.Release() {
			select {
			case <-tick:
			case <-over:
				p.Release()
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(over)
		<-released
		s.Close()
	})
	return p, s.URL
}

// A network that drops, delays, truncates and doubles, in front of both servers:
// every workflow completes, and each completed task has its one commit.
func TestBadNetwork(t *testing.T) {
	t.Parallel()
	patient := strings.NewReplacer("count = 3", "count = 10", "response_seconds = 60", "response_seconds = 5").Replace(link)
	patient = strings.Replace(patient, "timeout(", `timeout(policy = "RETRY", `, 1)
	s := newScene(t, patient, patient)
	toConductor, conductorURL := badNetwork(t, site.conductor.URL, 1)
	toLakeFS, lakefsURL := badNetwork(t, site.lakefs.URL, 2)
	root := s.root()
	p := s.worker(root, "CONDUCTOR_SERVER_URL="+conductorURL+"/api", "LAKECTL_SERVER_ENDPOINT_URL="+lakefsURL,
		"PERAGO_WORKSPACE_GC_INTERVAL=5s") // what an attempt could not remove is the sweep's
	p.logs("worker started")
	began := time.Now()
	var (
		flows    []*scene
		ids      []string
		attempts = map[string]int{}
		commits  []string
	)
	for i := range networkWorkflows {
		flow := s.on(fmt.Sprintf("flow%d", i))
		flows, ids = append(flows, flow), append(ids, flow.start())
	}
	for i, flow := range flows {
		w := flow.endsWithin(4*patience, ids[i])
		for _, try := range w.Tasks {
			attempts[try.Status]++
		}
		commits = append(commits, flow.oneCommitEach(ids[i], w)...)
	}
	took := time.Since(began)
	eventually(t, "the sweep has removed what the attempts left", func() bool { return len(s.attempts(root)) == 0 })
	p.signal(syscall.SIGTERM)
	p.exits(0)
	claimed := claims(p.log())
	slices.Sort(claimed)
	slices.Sort(commits)
	if claimed = slices.Compact(claimed); !slices.Equal(claimed, commits) {
		t.Errorf("the worker claims the commits %q, and the branches have %q", claimed, commits)
	}
	s.nothingLeft(root)
	t.Logf("%d workflows in %.1f s, %d commits; attempts %v; towards Conductor %v, towards lakeFS %v",
		len(ids), took.Seconds(), len(commits), attempts, toConductor.Fates(), toLakeFS.Fates())
}

// oneCommitEach: the workflow completed, and what its completed tasks say they
// published is the history of the branch, in order, with nothing beside it.
func (s *scene) oneCommitEach(id string, w servers.Workflow) (commits []string) {
	s.t.Helper()
	if w.Status != "COMPLETED" {
		s.t.Fatalf("workflow %s: got %s %s: %+v", id, w.Status, w.Reason, w.Tasks)
	}
	completed := map[string]string{} // commits, by task of the branch's metadata
	for _, try := range w.Tasks {
		if try.Status != "COMPLETED" {
			continue
		}
		var out envelope
		must(s.t, json.Unmarshal(try.Output, &out))
		completed[id+"/"+try.Reference+"/0"] = out.Workspace["ref"]
	}
	onBranch := map[string]string{}
	for _, c := range s.history() {
		commits = append(commits, c.ID)
		onBranch[c.Metadata["perago.task"]] = c.ID
	}
	if !maps.Equal(completed, onBranch) || len(commits) != len(s.tasks) {
		s.t.Fatalf("branch %s: got %d commits %v, want those of the completed tasks %v", s.branch, len(commits), onBranch, completed)
	}
	if got, want := s.read(commits[len(commits)-1], "chain.txt"), strings.Join(s.tasks, "\n")+"\n"; got != want {
		s.t.Errorf("branch %s: chain.txt is %q, want %q", s.branch, got, want)
	}
	return commits
}
