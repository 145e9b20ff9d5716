// Package lakefs is a storage.Store on a lakeFS server. It is the only
// importer of lakeFS's client.
//
// Requests that are safe to repeat (reads, uploads to a staging branch,
// deletions) are repeated with back-off. A request that makes a branch, a commit or
// a merge is sent once; if it fails, the publisher finds out whether it had an effect.
package lakefs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/treeverse/lakefs/pkg/api/apigen"

	"perago/secret"
	"perago/workspace/storage"
)

// Options say where the server is.
type Options struct {
	URL    string        // http(s)://host[:port], with or without /api/v1
	Key    secret.String // access key id
	Secret secret.String

	ObjectHosts Hosts // of the block store, which pre-signed URLs may lead to; none: objects are transferred through the server

	Timeout     time.Duration // of one small request; 0 is 30 s
	LongTimeout time.Duration // of a commit or a merge; 0 is 5 min
	Repeat      time.Duration // how long a request that fails at once is repeated, where that is safe; 0 is 3 s
	Stall       time.Duration // a transfer ends when no byte moves for so long; 0 is 60 s
	Concurrency int           // connections that are kept open; 0 is 32
}

// Store is a lakeFS server. It is safe for concurrent use.
type Store struct {
	opts Options
	base string // the URL without /api/v1
	api  *apigen.Client
	http *http.Client

	mu         sync.Mutex
	storage    *blockStorage     // nil until it is known
	namespaces map[string]string // repository -> storage namespace
}

var _ storage.Store = (*Store)(nil)

// Errors of a server that cannot be used.
var (
	ErrDenied      = errors.New("the server does not accept this access key for this")
	ErrNotLakeFS   = errors.New("does not answer as lakeFS does; is the URL right?")
	ErrUnreachable = storage.ErrUnreachable // the error says why
)

// New makes a Store; it sends nothing.
func New(o Options) (*Store, error) {
	base, err := cleanURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("lakeFS: %w", err)
	}
	if o.Key.Empty() || o.Secret.Empty() {
		return nil, errors.New("lakeFS: an access key needs an id and a secret")
	}
	defaultTo(&o.Timeout, 30*time.Second)
	defaultTo(&o.LongTimeout, 5*time.Minute)
	defaultTo(&o.Repeat, 3*time.Second)
	defaultTo(&o.Stall, time.Minute)
	if o.Concurrency < 1 {
		o.Concurrency = 32
	}
	s := &Store{opts: o, base: base, namespaces: make(map[string]string)}
	s.http = &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConns:        2 * o.Concurrency,
			MaxIdleConnsPerHost: o.Concurrency,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
			// The length of a body is compared with the size of the object, so it must not be compressed.
			DisableCompression:     true,
			MaxResponseHeaderBytes: 1 << 20,
		},
		// A redirected POST would become a GET, and a pre-signed URL must not get the
		// access key, so redirects are not followed automatically.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.api, err = apigen.NewClient(base+"/api/v1", apigen.WithHTTPClient(s.http), apigen.WithRequestEditorFn(
		func(_ context.Context, req *http.Request) error {
			req.SetBasicAuth(o.Key.Reveal(), o.Secret.Reveal())
			req.Header.Set("User-Agent", "perago")
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("lakeFS: %w", err)
	}
	return s, nil
}

// Close closes idle connections.
func (s *Store) Close() { s.http.CloseIdleConnections() }

func defaultTo(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// cleanURL is the address of the server without the path of its API.
func cleanURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", errors.New("the URL of the server must be like https://lakefs.example.com")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("the URL of the server must have no login, query or fragment")
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/api/v1"), "/")
	u.RawPath = ""
	return u.String(), nil
}

// Server describes a server.
type Server struct {
	URL        string
	Version    string
	Blockstore string        // local, s3, gs, azure, ...
	PreSigned  bool          // it gives pre-signed URLs of the block store
	Skew       time.Duration // how far its clock is ahead of ours, to the second
}

// Check asks the server for its description, with the key. ErrDenied, ErrNotLakeFS, or
// why it could not be reached, after at most Options.Timeout.
func (s *Store) Check(ctx context.Context) (Server, error) {
	within, cancel := s.bounded(ctx, s.opts.Timeout)
	defer cancel()
	server, err := s.check(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return Server{}, s.unreachable(within, "log in", err)
	}
	return server, err
}

func (s *Store) check(ctx context.Context) (Server, error) {
	// Reading the configuration works partly without a login; reading the current user does not.
	if _, err := s.call(ctx, request{what: "log in", repeat: true,
		send: func(ctx context.Context) (*http.Response, error) { return s.api.GetCurrentUser(ctx) }}); err != nil {
		return Server{}, err
	}
	a, err := s.call(ctx, request{what: "read the configuration", repeat: true,
		send: func(ctx context.Context) (*http.Response, error) { return s.api.GetConfig(ctx) }})
	if err != nil {
		return Server{}, err
	}
	config, err := decode[apigen.Config](a)
	if err != nil {
		return Server{}, err
	}
	st := storageOf(config)
	server := Server{URL: s.base, Blockstore: st.blockstore, PreSigned: st.preSigned}
	if config.VersionConfig != nil && config.VersionConfig.Version != nil {
		server.Version = *config.VersionConfig.Version
	}
	if at, err := http.ParseTime(a.header.Get("Date")); err == nil {
		server.Skew = at.Sub(a.received).Round(time.Second)
	}
	return server, nil
}

// blockStorage describes the server's block store.
type blockStorage struct {
	blockstore string
	preSigned  bool // in Store.storage: and at least one host of it is allowed
}

func storageOf(c apigen.Config) blockStorage {
	sc := c.StorageConfig
	if sc == nil && c.StorageConfigList != nil && len(*c.StorageConfigList) == 1 {
		sc = &(*c.StorageConfigList)[0]
	}
	if sc == nil {
		// Several block stores: it is not known which one a repository is on, so
		// objects are transferred through the server, which works for each of them.
		return blockStorage{}
	}
	return blockStorage{blockstore: sc.BlockstoreType, preSigned: sc.PreSignSupport}
}

// storageConfig reads the configuration of the block store, once.
func (s *Store) storageConfig(ctx context.Context) (blockStorage, error) {
	s.mu.Lock()
	known := s.storage
	s.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	a, err := s.call(ctx, request{what: "read the configuration", repeat: true,
		send: func(ctx context.Context) (*http.Response, error) { return s.api.GetConfig(ctx) }})
	if err != nil {
		return blockStorage{}, err
	}
	config, err := decode[apigen.Config](a)
	if err != nil {
		return blockStorage{}, err
	}
	st := storageOf(config)
	st.preSigned = st.preSigned && len(s.opts.ObjectHosts) > 0
	s.mu.Lock()
	s.storage = &st
	s.mu.Unlock()
	return st, nil
}

// repository reads a repository. ErrUnknownRepository.
func (s *Store) repository(ctx context.Context, repo string) (apigen.Repository, error) {
	a, err := s.call(ctx, request{what: "read repository " + repo, repeat: true,
		send: func(ctx context.Context) (*http.Response, error) { return s.api.GetRepository(ctx, repo) }})
	if status(err) == http.StatusNotFound || status(err) == http.StatusGone {
		return apigen.Repository{}, fmt.Errorf("repository %s: %w", repo, storage.ErrUnknownRepository)
	}
	if err != nil {
		return apigen.Repository{}, err
	}
	return decode[apigen.Repository](a)
}

// missing is the error for a 404: that of an unknown repository, else thing.
func (s *Store) missing(ctx context.Context, repo string, thing error) error {
	if _, err := s.repository(ctx, repo); err != nil {
		return err
	}
	return thing
}
