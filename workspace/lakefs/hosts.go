package lakefs

// The hosts that a pre-signed URL may lead to. Somebody who can answer in place of
// lakeFS, or change its responses, could use such URLs to make the worker read from a
// host inside its own network, or send what an attempt wrote to one outside.

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Hosts are the hosts of the block store that the worker may connect to. Without any,
// every object is transferred through the server, which always works.
type Hosts []host

// host is one of Hosts.
type host struct {
	name string // lower case; "*.example.com" is every host below example.com
	port string // "": the default of the scheme
}

// ParseHosts reads names with or without a port, separated by commas, as in
// "s3.example.com,*.blob.example.com:9000".
func ParseHosts(text string) (Hosts, error) {
	var hosts Hosts
	for entry := range strings.SplitSeq(text, ",") {
		h, err := parseHost(strings.TrimSpace(entry))
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

func parseHost(entry string) (host, error) {
	name, port := entry, ""
	if at := strings.LastIndexByte(entry, ':'); at >= 0 && !strings.HasSuffix(entry, "]") {
		name, port = entry[:at], entry[at+1:]
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return host{}, fmt.Errorf("%q has no port after its colon", entry)
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok { // an IPv6 address
		name = strings.TrimSuffix(inner, "]")
		if net.ParseIP(name) == nil {
			return host{}, fmt.Errorf("%q is not an address", entry)
		}
	} else if plain := strings.TrimPrefix(name, "*."); plain == "" || strings.ContainsAny(plain, "*/:@?#[]\\ \t") {
		return host{}, fmt.Errorf("%q is not the name of a host", entry)
	}
	return host{strings.ToLower(name), port}, nil
}

// allows says whether u is on h.
func (h host) allows(u *url.URL) bool {
	name := strings.ToLower(u.Hostname())
	if below, ok := strings.CutPrefix(h.name, "*"); ok { // with its dot
		if !strings.HasSuffix(name, below) || len(name) == len(below) {
			return false
		}
	} else if name != h.name {
		return false
	}
	if h.port == "" {
		return u.Port() == "" || u.Port() == schemePort(u)
	}
	return h.port == portOf(u)
}

// portOf is the port of a URL, or the default of its scheme.
func portOf(u *url.URL) string {
	if u.Port() != "" {
		return u.Port()
	}
	return schemePort(u)
}

func schemePort(u *url.URL) string {
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// ErrHost: a pre-signed URL leads to a host that the configuration does not allow.
var ErrHost = errors.New("a pre-signed URL leads to a host that is not allowed")

// allowed parses a pre-signed URL, and fails with ErrHost if its host is not allowed.
func (s *Store) allowed(what, location string) (*url.URL, error) {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("%s: %s %w (its pre-signed URL is not an http URL)", what, s.base, ErrNotLakeFS)
	}
	if own, err := url.Parse(s.base); err == nil && strings.EqualFold(own.Hostname(), u.Hostname()) && portOf(own) == portOf(u) {
		return u, nil
	}
	for _, h := range s.opts.ObjectHosts {
		if h.allows(u) {
			return u, nil
		}
	}
	return nil, fmt.Errorf("%s: %w: %s", what, ErrHost, fmt.Sprintf("%.200s", u.Host))
}
