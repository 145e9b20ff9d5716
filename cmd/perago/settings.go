package main

import (
	"strconv"
	"time"

	"perago/secret"
)

// setting is one variable of the configuration.
type setting struct {
	name   string
	flag   string // "" has none
	on     scope  // the commands that have the flag
	usual  string // the default, as it would be written; "" is none
	secret bool
	rule   string // what is wanted, for people
	set    func(c *config, value string) error
}

// scope is a set of commands.
type scope int

const (
	serving     scope = 1 << iota // start, doctor
	running                       // run
	registering                   // register
	fencing                       // fence
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
		{name: "PERAGO_WORKSPACE_ROOT", flag: "workspace-root", on: serving | running, rule: "a folder, made when missing",
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
		{name: "PERAGO_LOG_LEVEL", flag: "log-level", on: serving, usual: "info", rule: "debug, info, warning or error",
			set: func(c *config, v string) error { return setLevel(&c.LogLevel, v) }},
		{name: "PERAGO_WORKER_ID", flag: "worker-id", on: serving, rule: workerIDRule,
			set: func(c *config, v string) error { return setWorkerID(&c.WorkerID, v) }},
		{name: "PERAGO_WORKER_ID_PREFIX", flag: "worker-id-prefix", on: serving, rule: "letters, digits, - and _, at most 100",
			set: func(c *config, v string) error { return setPrefix(&c.WorkerIDPrefix, v) }},
		{name: "PERAGO_EXECUTION_MODE", flag: "execution-mode", on: serving | running, usual: "process", rule: "process or thread",
			set: func(c *config, v string) error { return setWord(&c.ExecutionMode, v, "process", "thread") }},
		{name: "PERAGO_ISOLATION", flag: "isolation", on: serving, rule: "required (the default on Linux) or best-effort",
			set: func(c *config, v string) error {
				return setWord(&c.Isolation, v, isolationRequired, isolationBestEffort)
			}},
		{name: "PERAGO_MEMORY_MAX", flag: "memory-max", on: serving | running, usual: "2GB", rule: sizeRule,
			set: func(c *config, v string) error { return setSize(&c.MemoryMax, v) }},
		{name: "PERAGO_BODY_SECONDS_MAX", flag: "body-seconds-max", on: serving | running, usual: "0", rule: "whole seconds, 0 for no ceiling",
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
		{name: "PERAGO_FENCE", flag: "fence", on: serving | running, usual: "auto", rule: "auto, server or client",
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
