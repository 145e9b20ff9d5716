package starlib

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones are the same on every machine

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// timeBuiltins are the functions and constants of the module.
func timeBuiltins() []Builtin {
	zone := Param{Name: "zone", Type: "string", Default: `"UTC"`, Doc: "of a text without an offset: UTC, or a name such as Europe/Paris"}
	rows := []Builtin{
		{Name: "time.now", Phase: Act, Returns: "time.time", call: timeNow, Doc: "The present time, in UTC."},
		{Name: "time.parse", Phase: Pure, Returns: "time.time", call: timeParse,
			Params: []Param{{Name: "text", Type: "string"},
				{Name: "format", Type: "string", Default: "None", Doc: "as in Python's strptime: " + directives + "; None: ISO 8601, a date, or a date and a time"}, zone},
			Doc: "The time that a text names. A text that does not fit is an error.", Example: `time.parse("2026-03-01T12:30:00Z").year == 2026
time.parse("01/03/2026", format = "%d/%m/%Y", zone = "Europe/Paris")`},
		{Name: "time.from_unix", Phase: Pure, Returns: "time.time", call: timeFromUnix,
			Params: []Param{{Name: "seconds", Type: "int or float", Doc: "since 1970-01-01T00:00:00Z"}}, Doc: "The time, in UTC, that many seconds after the start of 1970."},
		{Name: "time.duration", Phase: Pure, Returns: "time.duration", call: timeDuration,
			Params: []Param{{Name: "x", Type: "string, int or float", Kind: Positional, Doc: "such as \"1h30m\", \"250ms\", \"-2.5s\" (units ns, us, ms, s, m, h), or a number of seconds"}},
			Doc:    "A span of time.", Example: `time.duration("1h30m") == 90 * time.minute`},
	}
	for _, unit := range []struct {
		name string
		d    time.Duration
	}{{"nanosecond", time.Nanosecond}, {"microsecond", time.Microsecond}, {"millisecond", time.Millisecond},
		{"second", time.Second}, {"minute", time.Minute}, {"hour", time.Hour}, {"day", 24 * time.Hour}} {
		doc := "A " + unit.name + ", as a duration to reckon with."
		if unit.name == "day" {
			doc = "24 hours, as a duration to reckon with."
		}
		rows = append(rows, Builtin{Name: "time." + unit.name, Phase: Pure, Property: true, Returns: "time.duration", Doc: doc,
			call: func(*call) (starlark.Value, error) { return duration(unit.d), nil }})
	}
	return rows
}

func timeNow(c *call) (starlark.Value, error) { return instant(c.run.now().UTC().Round(0)), nil }

// zoneOf is the zone that an argument names.
func (c *call) zoneOf(argument string) (*time.Location, error) {
	name, err := c.text(argument, "UTC")
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		p := c.refuse(argument, starlark.String(shorten(name)).String(), "a zone such as UTC or Europe/Paris")
		p.Code = codeTime
		return nil, p
	}
	return zone, nil
}

func timeParse(c *call) (starlark.Value, error) {
	text, err := c.text("text", "")
	if err != nil {
		return nil, err
	}
	zone, err := c.zoneOf("zone")
	if err != nil {
		return nil, err
	}
	var t time.Time
	if f := c.arg("format"); f == nil || f == starlark.None {
		t, err = parseISO(text, zone)
	} else {
		var format string
		if format, err = c.text("format", ""); err != nil {
			return nil, err
		}
		t, err = parseTime(text, format, zone)
	}
	var bad formatError
	switch {
	case errors.As(err, &bad):
		p := c.refuse("format", bad.found, bad.wanted)
		p.Code = codeTime
		return nil, p
	case err != nil:
		p := c.problem(codeTime, "%s is no such time: %s", starlark.String(shorten(text)), err)
		p.Argument = c.place("text")
		return nil, p
	}
	return c.instant(t)
}

// isoForm is a date, and a time with or without seconds and an offset.
var isoForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?([.][0-9]+)?([Zz]|[-+][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?)?$`)
})

// parseISO reads a date, or a date and a time, of ISO 8601: all that datetime()
// takes, and the same without seconds or an offset, or with a space for the T.
func parseISO(text string, zone *time.Location) (time.Time, error) {
	wrong := errors.New("want a date as 2026-03-01, or with a time as 2026-03-01T12:30:00Z")
	part := isoForm().FindStringSubmatch(text)
	if part == nil {
		return time.Time{}, wrong
	}
	date, clock, seconds, fraction, offset := part[1], part[2], part[3], part[4], part[5]
	var leap time.Duration
	switch {
	case clock == "":
		clock, seconds = "00:00", ":00"
	case seconds == "" && fraction != "":
		return time.Time{}, wrong
	case seconds == "":
		seconds = ":00"
	case seconds == ":60" && isDateTime(text):
		seconds, leap = ":59", time.Second
	}
	wall, err := time.Parse("2006-01-02 15:04:05", date+" "+clock+seconds+fraction)
	if err != nil {
		return time.Time{}, wrong
	}
	if offset != "" {
		p := timeParser{rest: strings.ToUpper(offset)}
		if err := p.offset(); err != nil {
			return time.Time{}, err
		}
		zone = p.zone
	}
	return localTime(wall, zone).Add(leap), nil
}

func timeFromUnix(c *call) (starlark.Value, error) {
	switch x := c.arg("seconds").(type) {
	case starlark.Int:
		if i, ok := x.Int64(); ok && -maxSeconds <= i && i <= maxSeconds {
			return c.instant(time.Unix(i, 0).UTC())
		}
		return nil, c.beyond()
	case starlark.Float:
		whole, part := math.Modf(float64(x))
		if !(math.Abs(whole) <= maxSeconds) {
			return nil, c.beyond()
		}
		return c.instant(time.Unix(int64(whole), int64(math.Round(part*1e9))).UTC())
	}
	return nil, c.wrongType("seconds", c.arg("seconds"))
}

// maxSeconds is more than from the year 1 to the year 9999.
const maxSeconds = 400_000_000_000

func (c *call) beyond() *diag.Problem {
	p := c.problem(codeRange, "the time is out of range")
	p.Wanted = "the years 1 to 9999"
	return p
}

// instant is t as a value, refused when its year has not four digits.
func (c *call) instant(t time.Time) (starlark.Value, error) {
	if !inRange(t) {
		return nil, c.beyond()
	}
	return instant(t), nil
}

func inRange(t time.Time) bool { return 1 <= t.Year() && t.Year() <= 9999 }

func timeDuration(c *call) (starlark.Value, error) {
	switch x := c.arg("x").(type) {
	case starlark.String:
		d, err := time.ParseDuration(string(x))
		if err != nil {
			p := c.refuse("x", starlark.String(shorten(string(x))).String(), `a duration such as "1h30m", "250ms" or "2.5s"`)
			p.Code, p.Cause = codeTime, err
			return nil, p
		}
		return duration(d), nil
	case starlark.Int, starlark.Float:
		return duration(time.Second).times(x)
	}
	return nil, c.wrongType("x", c.arg("x"))
}

// outOfRange complains of a duration that does not fit.
func outOfRange() error {
	return &diag.Problem{Code: codeRange, Message: "the duration is out of range", Wanted: "at most 292 years"}
}

// times is d times x, an int or a float.
func (d duration) times(x starlark.Value) (starlark.Value, error) {
	if i, ok := x.(starlark.Int); ok {
		product := starlark.MakeInt64(int64(d)).Mul(i)
		n, ok := product.Int64()
		if !ok {
			return nil, outOfRange()
		}
		return duration(n), nil
	}
	f, ok := starlark.AsFloat(x)
	if !ok {
		return nil, nil
	}
	return rounded(float64(d) * f)
}

// quotient is d / y, where y is a number or a duration.
func (d duration) quotient(y starlark.Value) (starlark.Value, error) {
	switch y := y.(type) {
	case duration:
		if y == 0 {
			return nil, errZero
		}
		return starlark.Float(float64(d) / float64(y)), nil
	case starlark.Int:
		n, fits := y.Int64()
		switch {
		case !fits:
			return duration(0), nil
		case n == 0:
			return nil, errZero
		case n == -1: // the one quotient that may not fit
			return d.times(y)
		}
		return d / duration(n), nil
	case starlark.Float:
		if y == 0 {
			return nil, errZero
		}
		return rounded(float64(d) / float64(y))
	}
	return nil, nil
}

// rounded is a count of nanoseconds as a duration.
func rounded(ns float64) (starlark.Value, error) {
	ns = math.Round(ns)
	if !(math.Abs(ns) < math.MaxInt64) {
		return nil, outOfRange()
	}
	return duration(ns), nil
}

var errZero = errors.New("a duration divided by zero")
