package starlib

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

func defaultResources() Resources {
	return Resources{Memory: 512 << 20, Files: 1_000_000, Scratch: 10 << 30, Output: 10 << 30}
}

func makeResources(c *call) (starlark.Value, error) {
	r := defaultResources()
	var err error
	if r.Memory, err = c.size("memory", r.Memory); err != nil {
		return nil, err
	}
	if r.Output, err = c.size("output", r.Output); err != nil {
		return nil, err
	}
	if r.Scratch, err = c.size("scratch", r.Scratch); err != nil {
		return nil, err
	}
	if r.Files, err = c.amount("files", r.Files, 1, maxAmount); err != nil {
		return nil, err
	}
	if r.Seconds, err = c.amount("seconds", 0, 0, maxAmount); err != nil {
		return nil, err
	}
	steps, err := c.amount("steps", 0, 0, math.MaxInt)
	r.Steps = uint64(steps)
	return &declared[Resources]{kind: "resources", value: r}, err
}

// size is a parameter that is a size in bytes.
func (c *call) size(name string, otherwise int64) (int64, error) {
	given := c.arg(name)
	if given == nil {
		return otherwise, nil
	}
	text, err := c.text(name, "")
	if err != nil {
		p := c.wrongType(name, given)
		p.Hint = `write a size with its unit, such as "512MiB"`
		return 0, p
	}
	n, err := parseSize(text)
	if err != nil {
		return 0, &diag.Problem{Code: "P2121", Message: "resources: `" + name + "` is not a size", Found: quoted(text), Wanted: err.Error(), Argument: c.place(name)}
	}
	return n, nil
}

// parseSize reads a size in bytes: a number and a unit, "512MiB", "1.5 GB". KiB,
// MiB, GiB, TiB and KB, MB, GB, TB mean the same, powers of 1024; without a unit
// it is bytes. The error says what is wanted.
func parseSize(s string) (int64, error) {
	s = strings.TrimSpace(s)
	number := s[:len(s)-len(strings.TrimLeft(s, "0123456789."))]
	n, err := strconv.ParseFloat(number, 64)
	unit := unitSize(strings.TrimSpace(s[len(number):]))
	if err != nil || unit == 0 {
		return 0, errors.New(`a number and KB, MB or GB, such as "512MB"`)
	}
	if n *= unit; n >= 1<<60 {
		return 0, errors.New("less than a million TB")
	}
	return int64(n), nil
}

// unitSize is how many bytes a unit stands for, 0 when there is no such unit.
func unitSize(unit string) float64 {
	switch strings.ToUpper(unit) {
	case "", "B":
		return 1
	case "KB", "KIB":
		return 1 << 10
	case "MB", "MIB":
		return 1 << 20
	case "GB", "GIB":
		return 1 << 30
	case "TB", "TIB":
		return 1 << 40
	}
	return 0
}
