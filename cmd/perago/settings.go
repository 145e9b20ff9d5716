package main

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"perago/secret"
	"perago/workspace/lakefs"
)

// setting is one variable of the configuration.
type setting struct {
	name   string
	flag   string // "" has none
	on     scope  // the commands that have the flag
	usual  string // the default, as it would be written; "" is none
	secret bool
	rule   string   // what is wanted, for people
	words  []string // of which a value is one; nil: it is not one of a few
	set    func(c *config, value string) error
}

// scope is a set of commands.
type scope int

const (
	serving     scope = 1 << iota // start, doctor
	running                       // run
	registering                   // register
	fencing                       // fence
	prompting                     // repl
)

// credentialGroups are variables that are given together or not at all.
func credentialGroups() [][]string {
	return [][]string{
		{"CONDUCTOR_AUTH_KEY", "CONDUCTOR_AUTH_SECRET"},
		{"LAKECTL_SERVER_ENDPOINT_URL", "LAKECTL_CREDENTIALS_ACCESS_KEY_ID", "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY"},
	}
}

// settings is the table of every variable; docs/operations.md shows it.
func settings() []setting {
	return []setting{
		{name: "CONDUCTOR_SERVER_URL", flag: "conductor-url", on: serving | registering, rule: "an http(s) URL that ends in /api",
			set: func(c *config, v string) error { return setURL(&c.Conductor.URL, v, endsInAPI) }},
		{name: "CONDUCTOR_AUTH_KEY", secret: true, rule: "the key of Conductor's application",
			set: func(c *config, v string) error { c.Conductor.Key = secret.New(v); return nil }},
		{name: "CONDUCTOR_AUTH_SECRET", secret: true, rule: "the secret that belongs to CONDUCTOR_AUTH_KEY",
			set: func(c *config, v string) error { c.Conductor.Secret = secret.New(v); return nil }},
		{name: "LAKECTL_SERVER_ENDPOINT_URL", flag: "lakefs-url", on: serving | running | fencing, rule: "an http(s) URL, with or without /api/v1",
			set: func(c *config, v string) error { return setURL(&c.LakeFS.URL, v, withoutAPIVersion) }},
		{name: "LAKECTL_CREDENTIALS_ACCESS_KEY_ID", secret: true, rule: "lakeFS's access key id",
			set: func(c *config, v string) error { c.LakeFS.Key = secret.New(v); return nil }},
		{name: "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY", secret: true, rule: "lakeFS's secret access key",
			set: func(c *config, v string) error { c.LakeFS.Secret = secret.New(v); return nil }},
		{name: "PERAGO_OBJECT_STORE_HOSTS", flag: "object-store-hosts", on: serving | running | fencing, rule: hostsRule,
			set: func(c *config, v string) error { return setHosts(&c.LakeFS.ObjectHosts, v) }},
		{name: "PERAGO_WORKSPACE_ROOT", flag: "workspace-root", on: serving | running | prompting, rule: "a folder, made when missing",
			set: func(c *config, v string) error { return setFolder(&c.WorkspaceRoot, v) }},
		{name: "PERAGO_LOG_ROOT", flag: "log-root", on: serving, rule: "a folder, made when missing",
			set: func(c *config, v string) error { return setFolder(&c.LogRoot, v) }},
		{name: "PERAGO_CACHE_ROOT", flag: "cache-root", on: serving | running, rule: "a folder, made when missing",
			set: func(c *config, v string) error { return setFolder(&c.CacheRoot, v) }},
		{name: "PERAGO_CACHE_MAX_SIZE", flag: "cache-max-size", on: serving | running, usual: "10GB", rule: sizeRule,
			set: func(c *config, v string) error { return setSize(&c.CacheMax, v) }},
		{name: "PERAGO_TRANSFER_CONCURRENCY", flag: "transfer-concurrency", on: serving | running | fencing, usual: "16", rule: "a whole number, at least 1",
			set: func(c *config, v string) error { return setInt(&c.TransferConcurrency, v, 1) }},
		{name: "PERAGO_LOG_FILE_MAX_SIZE", flag: "log-file-max-size", on: serving, usual: "100MB", rule: sizeRule,
			set: func(c *config, v string) error { return setSize(&c.LogFileMax, v) }},
		{name: "PERAGO_LOG_TOTAL_MAX_SIZE", flag: "log-total-max-size", on: serving, usual: "2GB", rule: sizeRule,
			set: func(c *config, v string) error { return setSize(&c.LogTotalMax, v) }},
		{name: "PERAGO_LOG_RETENTION", flag: "log-retention", on: serving, usual: "30d", rule: durationRule,
			set: func(c *config, v string) error { return setDuration(&c.LogRetention, v, time.Second) }},
		{name: "PERAGO_LOG_LEVEL", flag: "log-level", on: serving, usual: "info", rule: "debug, info, warning or error", words: []string{"debug", "info", "warning", "error"},
			set: func(c *config, v string) error { return setLevel(&c.LogLevel, v) }},
		{name: "PERAGO_WORKER_ID", flag: "worker-id", on: serving, rule: workerIDRule,
			set: func(c *config, v string) error { return setWorkerID(&c.WorkerID, v) }},
		{name: "PERAGO_WORKER_ID_PREFIX", flag: "worker-id-prefix", on: serving, rule: "letters, digits, - and _, at most 100",
			set: func(c *config, v string) error { return setPrefix(&c.WorkerIDPrefix, v) }},
		{name: "PERAGO_EXECUTION_MODE", flag: "execution-mode", on: serving | running, usual: "process", rule: "process or thread", words: []string{"process", "thread"},
			set: func(c *config, v string) error { return setWord(&c.ExecutionMode, v, "process", "thread") }},
		{name: "PERAGO_ISOLATION", flag: "isolation", on: serving, rule: "required (the default on Linux) or best-effort", words: []string{isolationRequired, isolationBestEffort},
			set: func(c *config, v string) error {
				return setWord(&c.Isolation, v, isolationRequired, isolationBestEffort)
			}},
		{name: "PERAGO_MEMORY_MAX", flag: "memory-max", on: serving | running | prompting, usual: "2GB", rule: sizeRule,
			set: func(c *config, v string) error { return setSize(&c.MemoryMax, v) }},
		{name: "PERAGO_BODY_SECONDS_MAX", flag: "body-seconds-max", on: serving | running | prompting, usual: "0", rule: "whole seconds, 0 for no ceiling",
			set: func(c *config, v string) error { return setInt(&c.BodySecondsMax, v, 0) }},
		{name: "PERAGO_WORKSPACE_GC_TTL", flag: "workspace-gc-ttl", on: serving, usual: "24h", rule: durationRule,
			set: func(c *config, v string) error { return setDuration(&c.GCTTL, v, 0) }},
		{name: "PERAGO_WORKSPACE_GC_INTERVAL", flag: "workspace-gc-interval", on: serving, usual: "1h", rule: durationRule,
			set: func(c *config, v string) error { return setDuration(&c.GCInterval, v, time.Second) }},
		{name: "PERAGO_KEEP_FAILED", flag: "keep-failed", on: serving, usual: "0", rule: "0 or 1",
			set: func(c *config, v string) error { return setBit(&c.KeepFailed, v) }},
		{name: "PERAGO_SHUTDOWN_FORCE_KILL_AFTER", flag: "shutdown-force-kill-after", on: serving, rule: durationRule,
			set: func(c *config, v string) error {
				c.ForceKillAfter = new(time.Duration)
				return setDuration(c.ForceKillAfter, v, 0)
			}},
		{name: "PERAGO_FAILURE_REASON_MAX_LENGTH", flag: "failure-reason-max-length", on: serving | running, usual: "500", rule: "a whole number, at least 50",
			set: func(c *config, v string) error { return setInt(&c.ReasonMax, v, 50) }},
		{name: "PERAGO_POLL_INTERVAL_MAX", flag: "poll-interval-max", on: serving, usual: "0.2s", rule: durationRule,
			set: func(c *config, v string) error { return setDuration(&c.PollIntervalMax, v, time.Millisecond) }},
		{name: "PERAGO_FENCE", flag: "fence", on: serving | running, usual: "auto", rule: "auto, server or client", words: []string{"auto", "server", "client"},
			set: func(c *config, v string) error { return setWord(&c.Fence, v, "auto", "server", "client") }},
		{name: "PERAGO_HTTP_ADDR", flag: "http-addr", on: serving, rule: "HOST:PORT or :PORT",
			set: func(c *config, v string) error { return setAddr(&c.HTTPAddr, v) }},
	}
}

func setBit(to *bool, v string) error {
	switch v {
	case "0", "1":
		*to = v == "1"
		return nil
	}
	return wanted("0 or 1")
}

func setInt(to *int, v string, least int) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > 1<<31-1 {
		return wanted("a whole number, at least " + strconv.Itoa(least))
	}
	*to = n
	return nil
}

const (
	sizeRule     = "a number and KB, MB or GB (1024-based), as in 100MB"
	durationRule = "a number and s, m, h or d, as in 30s"
	workerIDRule = "letters, digits, -, _ and ., at most 150, a letter or digit first"
	hostsRule    = "HOST or HOST:PORT, separated by commas; *.HOST is every host below it"
)

// wanted is the complaint about a value: the caller names variable and value.
func wanted(rule string) error { return errors.New("want " + rule) }

// hiddenValue is a complaint about a value that must not be shown.
type hiddenValue struct{ rule string }

func (e *hiddenValue) Error() string { return "want " + e.rule }

// setSize reads a size in bytes, above 0.
func setSize(to *int64, v string) error {
	n, unit, ok := quantity(v)
	factor, known := map[string]float64{"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}[strings.ToUpper(unit)]
	if bytes := n * factor; ok && known && bytes >= 1 && bytes < math.MaxInt64 {
		*to = int64(bytes)
		return nil
	}
	return wanted(sizeRule)
}

// setDuration reads a duration of at least least.
func setDuration(to *time.Duration, v string, least time.Duration) error {
	n, unit, ok := quantity(v)
	factor, known := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[unit]
	d := n * float64(factor)
	switch {
	case !ok || !known || d >= math.MaxInt64:
		return wanted(durationRule)
	case time.Duration(d) < least:
		return wanted(durationRule + ", at least " + least.String())
	}
	*to = time.Duration(d)
	return nil
}

// quantity splits "1.5 GB" into its number, not negative, and its unit.
func quantity(v string) (n float64, unit string, ok bool) {
	unit = strings.TrimLeft(v, "0123456789.")
	n, err := strconv.ParseFloat(strings.TrimSuffix(v, unit), 64)
	return n, strings.TrimSpace(unit), err == nil
}

func setLevel(to *slog.Level, v string) error {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn, "warn": slog.LevelWarn, "error": slog.LevelError}
	l, ok := levels[strings.ToLower(v)]
	if !ok {
		return wanted("debug, info, warning or error")
	}
	*to = l
	return nil
}

func setWord(to *string, v string, words ...string) error {
	if !slices.Contains(words, v) {
		return wanted(orList(words))
	}
	*to = v
	return nil
}

func setPrefix(to *string, v string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`).MatchString(v) {
		return wanted("letters, digits, - and _, at most 100")
	}
	*to = v
	return nil
}

// setWorkerID reads what is the name of log files as well.
func setWorkerID(to *string, v string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,149}$`).MatchString(v) {
		return wanted(workerIDRule)
	}
	*to = v
	return nil
}

// setFolder reads a path; a relative one is seen from the current directory.
func setFolder(to *string, v string) error {
	abs, err := filepath.Abs(v)
	if err != nil || strings.ContainsRune(v, 0) {
		return wanted("a folder, made when missing")
	}
	*to = abs
	return nil
}

func setHosts(to *lakefs.Hosts, v string) error {
	hosts, err := lakefs.ParseHosts(v)
	switch {
	case err != nil && strings.Contains(v, "@"):
		return &hiddenValue{hostsRule}
	case err != nil:
		return wanted(hostsRule + ": " + err.Error())
	}
	*to = hosts
	return nil
}

func setAddr(to *string, v string) error {
	_, port, err := net.SplitHostPort(v)
	if n, numErr := strconv.Atoi(port); err != nil || numErr != nil || n < 0 || n > 65535 {
		return wanted("HOST:PORT or :PORT")
	}
	*to = v
	return nil
}

// setURL reads an http(s) URL; then may refuse or change its path.
func setURL(to *string, v string, then func(*url.URL) error) error {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		if strings.Contains(v, "@") {
			return &hiddenValue{"an http(s) URL"}
		}
		return wanted("an http(s) URL")
	case u.User != nil:
		return &hiddenValue{"a URL without user and password: the credentials have variables of their own"}
	case u.RawQuery != "" || u.Fragment != "":
		return &hiddenValue{"a URL without ? and #"}
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	if err := then(u); err != nil {
		return err
	}
	*to = u.String()
	return nil
}

func endsInAPI(u *url.URL) error {
	if !strings.HasSuffix(u.Path, "/api") {
		return wanted("a URL that ends in /api, as in " + u.Scheme + "://" + u.Host + u.Path + "/api")
	}
	return nil
}

func withoutAPIVersion(u *url.URL) error {
	u.Path = strings.TrimRight(strings.TrimSuffix(u.Path, "/api/v1"), "/")
	return nil
}
