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

	"perago/workspace/lakefs"
)

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
