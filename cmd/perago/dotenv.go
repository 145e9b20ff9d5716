package main

import (
	"bytes"
	"strings"

	"github.com/joho/godotenv"
)

// parseEnvFile reads NAME=value lines. Its error names the line and never
// shows it: a line that cannot be read may well hold a secret.
func parseEnvFile(path string, data []byte) (map[string]string, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	values, err := godotenv.UnmarshalBytes(data)
	if err == nil {
		return values, nil
	}
	lines := strings.SplitAfter(string(data), "\n")
	good := len(lines) - 1
	for good > 0 {
		if _, err := godotenv.Unmarshal(strings.Join(lines[:good], "")); err == nil {
			break
		}
		good--
	}
	return nil, environmentError("quote a value that holds a space, a quote, a `#` or a `$`: NAME='value'",
		"read the configuration: %s:%d: want NAME=value", path, good+1)
}
