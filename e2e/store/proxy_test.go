package store

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"perago/e2e/wire"
	"perago/workspace/lakefs"
	"perago/workspace/storetest"
)

// link is a client of lakeFS behind a proxy.
type link struct {
	*lakefs.Store
	*wire.Proxy
}

func (link) Crashed() bool { return false }

// openProxy starts a proxy, and a client of it, for the length of the test.
func openProxy(t *testing.T, plan func(int, string) storetest.Fault) storetest.Link {
	p := &wire.Proxy{Target: server.lakefs.URL, Plan: func(n int, req *http.Request) wire.Fate {
		return map[storetest.Fault]wire.Fate{storetest.Lost: wire.Lost, storetest.Dropped: wire.Dropped,
			storetest.Late: wire.Late, storetest.Doubled: wire.Doubled}[plan(n, req.URL.Path)]
	}}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	store, err := lakefs.New(options(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return link{store, p}
}

// TestLostLateAndDoubledAnswers lets each request of a publication go wrong in turn.
func TestLostLateAndDoubledAnswers(t *testing.T) {
	storetest.TestLink(t, subject(server.store), openProxy)
}
