package starlib

import (
	"cmp"
	"math"
	"sync"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// instant is a moment, in a zone; years 1 to 9999.
type instant time.Time

// duration is a span of time, in nanoseconds.
type duration time.Duration

var (
	_ starlark.HasAttrs       = instant{}
	_ starlark.HasBinary      = instant{}
	_ starlark.TotallyOrdered = instant{}
	_ starlark.HasAttrs       = duration(0)
	_ starlark.HasBinary      = duration(0)
	_ starlark.HasUnary       = duration(0)
	_ starlark.TotallyOrdered = duration(0)
)

func (t instant) String() string {
	return time.Time(t).Format(withSeconds(time.Time(t), time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z07:00:00"))
}
func (t instant) Type() string         { return "time.time" }
func (t instant) Freeze()              {}
func (t instant) Truth() starlark.Bool { return true }
func (t instant) Hash() (uint32, error) {
	return starlark.MakeInt64(time.Time(t).Unix()*1000 + int64(time.Time(t).Nanosecond())).Hash()
}

var (
	instantMembers  = sync.OnceValue(func() members { return membersOf(instantBuiltins()) })
	durationMembers = sync.OnceValue(func() members { return membersOf(durationBuiltins()) })
)

func (t instant) Attr(name string) (starlark.Value, error) { return instantMembers().attr(t, name) }
func (t instant) AttrNames() []string                      { return instantMembers().names }

// Cmp orders moments, whatever their zones.
func (t instant) Cmp(other starlark.Value, _ int) (int, error) {
	return time.Time(t).Compare(time.Time(other.(instant))), nil
}

// Binary has time + duration, time - duration and time - time.
func (t instant) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	switch y := y.(type) {
	case duration:
		if op == syntax.PLUS {
			return t.plus(y)
		}
		if op == syntax.MINUS && side == starlark.Left && y != math.MinInt64 {
			return t.plus(-y)
		}
	case instant:
		if op == syntax.MINUS {
			d := time.Time(t).Sub(time.Time(y))
			if d == math.MaxInt64 || d == math.MinInt64 {
				return nil, outOfRange()
			}
			return duration(d), nil
		}
	}
	return nil, nil
}

func (t instant) plus(d duration) (starlark.Value, error) {
	sum := time.Time(t).Add(time.Duration(d))
	if !inRange(sum) {
		return nil, (&call{builtin: &Builtin{Name: "time + duration"}}).beyond()
	}
	return instant(sum), nil
}

func (d duration) String() string        { return time.Duration(d).String() }
func (d duration) Type() string          { return "time.duration" }
func (d duration) Freeze()               {}
func (d duration) Truth() starlark.Bool  { return d != 0 }
func (d duration) Hash() (uint32, error) { return starlark.MakeInt64(int64(d)).Hash() }

func (d duration) Attr(name string) (starlark.Value, error) { return durationMembers().attr(d, name) }
func (d duration) AttrNames() []string                      { return durationMembers().names }

func (d duration) Cmp(other starlark.Value, _ int) (int, error) {
	return cmp.Compare(d, other.(duration)), nil
}

// Unary has +d and -d.
func (d duration) Unary(op syntax.Token) (starlark.Value, error) {
	switch op {
	case syntax.PLUS:
		return d, nil
	case syntax.MINUS:
		return d.times(starlark.MakeInt(-1))
	}
	return nil, nil
}

// Binary has + and - between durations, d + time, d * number, d / number,
// d / d (a float), d // d (an int) and d % d.
func (d duration) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	if op == syntax.STAR {
		return d.times(y)
	}
	if t, ok := y.(instant); ok && op == syntax.PLUS {
		return t.plus(d)
	}
	if side == starlark.Right {
		return nil, nil
	}
	if op == syntax.SLASH {
		return d.quotient(y)
	}
	e, ok := y.(duration)
	if !ok {
		return nil, nil
	}
	switch op {
	case syntax.PLUS, syntax.MINUS:
		x := starlark.MakeInt64(int64(d))
		sum := x.Add(starlark.MakeInt64(int64(e)))
		if op == syntax.MINUS {
			sum = x.Sub(starlark.MakeInt64(int64(e)))
		}
		n, ok := sum.Int64()
		if !ok {
			return nil, outOfRange()
		}
		return duration(n), nil
	case syntax.SLASHSLASH, syntax.PERCENT:
		if e == 0 {
			return nil, errZero
		}
		whole, left := starlark.MakeInt64(int64(d)).Div(starlark.MakeInt64(int64(e))), starlark.MakeInt64(int64(d)).Mod(starlark.MakeInt64(int64(e)))
		if op == syntax.SLASHSLASH {
			return whole, nil
		}
		n, _ := left.Int64()
		return duration(n), nil
	}
	return nil, nil
}

// instantBuiltins are the members of a time.
func instantBuiltins() []Builtin {
	number := func(name, doc string, f func(time.Time) int) Builtin {
		return Builtin{Name: "time.time." + name, Phase: Pure, Method: true, Property: true, Returns: "int", Doc: doc,
			call: func(c *call) (starlark.Value, error) { return starlark.MakeInt(f(time.Time(c.recv.(instant)))), nil }}
	}
	return []Builtin{
		number("year", "1 to 9999.", time.Time.Year),
		number("month", "1 to 12.", func(t time.Time) int { return int(t.Month()) }),
		number("day", "1 to 31.", time.Time.Day),
		number("hour", "0 to 23.", time.Time.Hour),
		number("minute", "0 to 59.", time.Time.Minute),
		number("second", "0 to 59.", time.Time.Second),
		number("nanosecond", "0 to 999999999, within the second.", time.Time.Nanosecond),
		number("weekday", "0 for Monday to 6 for Sunday, as in Python.", func(t time.Time) int { return (int(t.Weekday()) + 6) % 7 }),
		number("yearday", "1 to 366.", time.Time.YearDay),
		number("unix", "Whole seconds since 1970-01-01T00:00:00Z.", func(t time.Time) int { return int(t.Unix()) }),
		{Name: "time.time.zone", Phase: Pure, Method: true, Property: true, Returns: "string", Doc: "The name of its zone, or its offset.",
			call: func(c *call) (starlark.Value, error) {
				name, _ := time.Time(c.recv.(instant)).Zone()
				return starlark.String(name), nil
			}},
		{Name: "time.time.format", Phase: Pure, Method: true, Returns: "string", call: timeFormat,
			Params: []Param{{Name: "format", Type: "string", Default: "None", Doc: "as in Python's strftime: " + directives + "; None: ISO 8601, as `str` gives"}},
			Doc:    "The time as text.", Example: `time.now().format("%Y-%m-%d")`},
		{Name: "time.time.in_zone", Phase: Pure, Method: true, Returns: "time.time", call: timeInZone,
			Params: []Param{{Name: "zone", Type: "string", Doc: "UTC, or a name such as Europe/Paris"}}, Doc: "The same moment in another zone."},
	}
}

func timeFormat(c *call) (starlark.Value, error) {
	t := time.Time(c.recv.(instant))
	if f := c.arg("format"); f == nil || f == starlark.None {
		return starlark.String(c.recv.String()), nil
	}
	format, err := c.text("format", "")
	if err != nil {
		return nil, err
	}
	s, err := formatTime(t, format)
	if bad, ok := err.(formatError); ok {
		p := c.refuse("format", bad.found, bad.wanted)
		p.Code = codeTime
		return nil, p
	}
	return starlark.String(s), err
}

func timeInZone(c *call) (starlark.Value, error) {
	zone, err := c.zoneOf("zone")
	if err != nil {
		return nil, err
	}
	return c.instant(time.Time(c.recv.(instant)).In(zone))
}

// durationBuiltins are the members of a duration.
func durationBuiltins() []Builtin {
	row := func(name, returns, doc string, f func(time.Duration) starlark.Value) Builtin {
		return Builtin{Name: "time.duration." + name, Phase: Pure, Method: true, Property: true, Returns: returns, Doc: doc,
			call: func(c *call) (starlark.Value, error) { return f(time.Duration(c.recv.(duration))), nil }}
	}
	return []Builtin{
		row("hours", "float", "The whole of it in hours.", func(d time.Duration) starlark.Value { return starlark.Float(d.Hours()) }),
		row("minutes", "float", "The whole of it in minutes.", func(d time.Duration) starlark.Value { return starlark.Float(d.Minutes()) }),
		row("seconds", "float", "The whole of it in seconds.", func(d time.Duration) starlark.Value { return starlark.Float(d.Seconds()) }),
		row("milliseconds", "int", "The whole of it in milliseconds, cut towards zero.", func(d time.Duration) starlark.Value { return starlark.MakeInt64(d.Milliseconds()) }),
		row("microseconds", "int", "The whole of it in microseconds, cut towards zero.", func(d time.Duration) starlark.Value { return starlark.MakeInt64(d.Microseconds()) }),
		row("nanoseconds", "int", "The whole of it in nanoseconds.", func(d time.Duration) starlark.Value { return starlark.MakeInt64(d.Nanoseconds()) }),
	}
}
