package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// configure reads a configuration out of an environment and the text of a .env.
func configure(t *testing.T, environ []string, dotenv string, args ...string) (*config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if dotenv != "" {
		if err := os.WriteFile(".env", []byte(dotenv), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := &app{environ: environ, stderr: io.Discard}
	fs := newFlagSet("test")
	read := a.configFlags(fs, serving)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return read()
}

func TestConfigPrecedence(t *testing.T) {
	c, err := configure(t, []string{"PERAGO_LOG_LEVEL=error", "PERAGO_FENCE=server", "PERAGO_TRANSFER_CONCURRENCY="},
		"PERAGO_LOG_LEVEL=debug\nPERAGO_FENCE=client\nPERAGO_TRANSFER_CONCURRENCY=3\nPERAGO_POLL_INTERVAL_MAX=2m\n", "-log-level", "warning")
	if err != nil {
		t.Fatal(err)
	}
	if c.LogLevel != slog.LevelWarn {
		t.Errorf("a flag wins: got %v, want WARN", c.LogLevel)
	}
	if c.Fence != "server" {
		t.Errorf("the environment wins over .env: got %s, want server", c.Fence)
	}
	if c.TransferConcurrency != 3 {
		t.Errorf("an empty value is unset, so .env fills it: got %d, want 3", c.TransferConcurrency)
	}
	if c.PollIntervalMax != 2*time.Minute {
		t.Errorf("got %v, want 2m", c.PollIntervalMax)
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/caches")
	c, err := configure(t, []string{"PERAGO_WORKSPACE_ROOT="}, "")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(c.WorkspaceRoot, c.LogRoot, c.CacheRoot, c.CacheMax, c.TransferConcurrency, c.LogFileMax, c.LogRetention,
		c.LogLevel, c.ExecutionMode, c.MemoryMax, c.BodySecondsMax, c.GCTTL, c.GCInterval, c.KeepFailed, c.ForceKillAfter, c.ReasonMax, c.PollIntervalMax, c.Fence)
	want := fmt.Sprintln("/caches/perago/workspaces", "/caches/perago/logs", "/caches/perago/cache", 10<<30, 16, 100<<20, 720*time.Hour,
		"INFO process", 2<<30, 0, 24*time.Hour, time.Hour, false, nil, 500, 200*time.Millisecond, "auto")
	if got = strings.ReplaceAll(got, "<nil>", "<nil>"); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

// TestConfigReportsEveryBadValue: all of them, each with variable, value and rule.
func TestConfigReportsEveryBadValue(t *testing.T) {
	_, err := configure(t, []string{
		"CONDUCTOR_SERVER_URL=http://localhost:8080",
		"CONDUCTOR_AUTH_KEY=the-key",
		"LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY=the-secret",
		"PERAGO_CACHE_MAX_SIZE=10",
		"PERAGO_TRANSFER_CONCURRENCY=0",
		"PERAGO_LOG_LEVEL=loud",
		"PERAGO_WORKER_ID_PREFIX=a b",
		"PERAGO_EXECUTION_MODE=thraed",
		"PERAGO_ISOLATION=yes",
		"PERAGO_BODY_SECONDS_MAX=-1",
		"PERAGO_KEEP_FAILED=yes",
		"PERAGO_WORKSPACE_GC_TTL=5 minutes",
		"PERAGO_FAILURE_REASON_MAX_LENGTH=49",
		"PERAGO_HTTP_ADDR=9090",
		"PERAGO_OBJECT_STORE_HOSTS=https://s3.example.com",
	}, "")
	if exitCode(err) != exitEnvironment {
		t.Fatalf("exit: got %d, want %d (%v)", exitCode(err), exitEnvironment, err)
	}
	for _, want := range []string{
		`CONDUCTOR_SERVER_URL="http://localhost:8080" (environment): want a URL that ends in /api, as in http://localhost:8080/api`,
		`CONDUCTOR_AUTH_SECRET is missing: CONDUCTOR_AUTH_KEY is set, and they go together`,
		`LAKECTL_SERVER_ENDPOINT_URL and LAKECTL_CREDENTIALS_ACCESS_KEY_ID is missing: LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY is set, and they go together`,
		`PERAGO_CACHE_MAX_SIZE="10" (environment): want a number and KB, MB or GB (1024-based), as in 100MB`,
		`PERAGO_TRANSFER_CONCURRENCY="0" (environment): want a whole number, at least 1`,
		`PERAGO_LOG_LEVEL="loud" (environment): want debug, info, warning or error`,
		`PERAGO_WORKER_ID_PREFIX="a b" (environment): want letters, digits, - and _`,
		`PERAGO_EXECUTION_MODE="thraed" (environment): want process or thread`,
		`PERAGO_ISOLATION="yes" (environment): want required or best-effort`,
		`PERAGO_BODY_SECONDS_MAX="-1" (environment): want a whole number, at least 0`,
		`PERAGO_KEEP_FAILED="yes" (environment): want 0 or 1`,
		`PERAGO_WORKSPACE_GC_TTL="5 minutes" (environment): want a number and s, m, h or d, as in 30s`,
		`PERAGO_FAILURE_REASON_MAX_LENGTH="49" (environment): want a whole number, at least 50`,
		`PERAGO_HTTP_ADDR="9090" (environment): want HOST:PORT or :PORT`,
		`PERAGO_OBJECT_STORE_HOSTS="https://s3.example.com" (environment): want HOST or HOST:PORT, separated by commas`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

// TestConfigNeverShowsASecret: whatever is wrong, and whatever prints the value.
func TestConfigNeverShowsASecret(t *testing.T) {
	environ := []string{
		"CONDUCTOR_SERVER_URL=https://user:hush@conductor.example.com/api",
		"LAKECTL_SERVER_ENDPOINT_URL=https://lakefs.example.com/?token=hush",
		"LAKECTL_CREDENTIALS_ACCESS_KEY_ID=hush",
		"LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY=hush",
		"CONDUCTOR_AUTH_KEY=replace-me-hush",
		"PERAGO_OBJECT_STORE_HOSTS=user:hush@s3.example.com",
	}
	_, err := configure(t, environ, "")
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v, want a complaint that shows no secret", err)
	}
	_, err = configure(t, nil, "FINE=1\nLAKECTL_CREDENTIALS_SECRET_ACCESS_KEY='hush\n")
	if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), ".env:2:") {
		t.Errorf("got %v, want a complaint about .env:2 that shows no secret", err)
	}
}

func TestConfigPlaceholder(t *testing.T) {
	_, err := configure(t, nil, "CONDUCTOR_AUTH_KEY=replace-me\nCONDUCTOR_AUTH_SECRET=x\n")
	want := "CONDUCTOR_AUTH_KEY (.env): the placeholder replace-me is still there; want the key of Conductor's application"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestConfigURLs(t *testing.T) {
	c, err := configure(t, []string{
		"CONDUCTOR_SERVER_URL=https://conductor.example.com/base/api/",
		"LAKECTL_SERVER_ENDPOINT_URL=http://lakefs.example.com:8000/api/v1/",
		"LAKECTL_CREDENTIALS_ACCESS_KEY_ID=a", "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY=b"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Conductor.URL, "https://conductor.example.com/base/api"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := c.LakeFS.URL, "http://lakefs.example.com:8000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestConfigEnvFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.env")
	if err := os.WriteFile(path, []byte("\ufeffPERAGO_FENCE=client\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := configure(t, nil, "PERAGO_FENCE=server\n", "-env-file", path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Fence != "client" {
		t.Errorf("got %s, want client, of the named file alone", c.Fence)
	}
	if _, err := configure(t, nil, "", "-env-file", "nowhere.env"); exitCode(err) != exitEnvironment {
		t.Errorf("got %v, want a named file that is missing to be an error", err)
	}
}

func TestConfigWorkerID(t *testing.T) {
	c, err := configure(t, []string{"PERAGO_WORKER_ID=blue.1", "PERAGO_WORKER_ID_PREFIX=x"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.workerID([]string{"a.star"}); got != "blue.1" {
		t.Errorf("got %s, want blue.1", got)
	}
	for _, bad := range []string{"../up", ".hidden", "a b", "a/b", strings.Repeat("x", 151)} {
		if _, err := configure(t, []string{"PERAGO_WORKER_ID=" + bad}, ""); err == nil {
			t.Errorf("PERAGO_WORKER_ID=%s is taken", bad)
		}
	}
}

func TestConfigUnknownVariable(t *testing.T) {
	c, err := configure(t, []string{"PERAGO_LOG_LEVL=debug", "PATH=/bin"}, "")
	if err != nil {
		t.Fatal(err)
	}
	want := "PERAGO_LOG_LEVL (environment) is not a variable that perago knows; did you mean PERAGO_LOG_LEVEL?"
	if len(c.Warnings) != 1 || c.Warnings[0] != want {
		t.Errorf("got %q, want %q", c.Warnings, want)
	}
}

func TestSizesAndDurations(t *testing.T) {
	sizes := map[string]int64{"1KB": 1 << 10, "1.5MB": 3 << 19, "10 GB": 10 << 30, "512MiB": 512 << 20, "2gb": 2 << 30,
		"": -1, "10": -1, "GB": -1, "0GB": -1, "-1GB": -1, "1e3GB": -1, "1TB": -1, "99999999999GB": -1, "1GB x": -1, "NaNGB": -1}
	for in, want := range sizes {
		got := int64(-1)
		if err := setSize(&got, in); (err != nil) != (want < 0) || got != want {
			t.Errorf("size %q: got %d (%v), want %d", in, got, err, want)
		}
	}
	durations := map[string]time.Duration{"30s": 30 * time.Second, "1.5m": 90 * time.Second, "2 h": 2 * time.Hour, "30d": 720 * time.Hour, "0s": 0,
		"": -1, "5": -1, "5ms": -1, "-1s": -1, "1h30m": -1, "9999999999d": -1, "Inf s": -1}
	for in, want := range durations {
		got := time.Duration(-1)
		if err := setDuration(&got, in, 0); (err != nil) != (want < 0) || got != want {
			t.Errorf("duration %q: got %v (%v), want %v", in, got, err, want)
		}
	}
}
