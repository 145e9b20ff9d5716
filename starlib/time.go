// The module time: moments in a zone, durations, formats as Python's strftime
// and strptime, and business days as NumPy's busday functions.

package starlib

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones are the same on every machine
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
	"perago/starlib/schema"
)

// timeBuiltins are the functions and constants of the module.
func timeBuiltins() []Builtin {
	zone := Param{Name: "zone", Type: "string", Default: `"UTC"`, Doc: "of a text without an offset: UTC, or a name such as Europe/Paris"}
	part := func(name, preset, doc string) Param { return Param{Name: name, Type: "int", Default: preset, Doc: doc} }
	location := Param{Name: "location", Type: "string", Default: `"UTC"`, Doc: "UTC, or a name such as Europe/Paris"}
	rows := []Builtin{
		{Name: "time.time", Phase: Pure, Returns: "time.time", call: timeOf,
			Params: []Param{part("year", "", "1 to 9999"), part("month", "", "1 to 12"), part("day", "", "1 to 31, as far as the month goes"),
				part("hour", "0", "0 to 23"), part("minute", "0", "0 to 59"), part("second", "0", "0 to 59"), part("nanosecond", "0", "0 to 999999999"), location},
			Doc: "The time when the clocks of a zone show that. " + twoMoments, Example: `time.time(2026, 3, 1) == time.parse("2026-03-01")
time.time(2026, 3, 1, hour = 12, location = "Europe/Paris")`},
		{Name: "time.now", Phase: Act, Returns: "time.time", call: timeNow, Doc: "The present time, in UTC."},
		{Name: "time.parse", Phase: Pure, Returns: "time.time", call: timeParse,
			Params: []Param{{Name: "text", Type: "string"},
				{Name: "format", Type: "string", Default: "None", Doc: "as in Python's strptime: " + directives + "; None: ISO 8601, a date, or a date and a time"}, zone},
			Doc: "The time that a text names. A text that does not fit is an error.", Example: `time.parse("2026-03-01T12:30:00Z").year == 2026
time.parse("01/03/2026", format = "%d/%m/%Y", zone = "Europe/Paris")`},
		{Name: "time.from_unix", Phase: Pure, Returns: "time.time", call: timeFromUnix,
			Params: []Param{{Name: "seconds", Type: "int or float", Doc: "since 1970-01-01T00:00:00Z"}}, Doc: "The time, in UTC, that many seconds after the start of 1970."},
		{Name: "time.duration", Phase: Pure, Returns: "time.duration", call: timeDuration,
			Params: []Param{{Name: "x", Type: "string, int or float", Kind: Positional, Doc: "such as \"1h30m\", \"250ms\", \"-2.5s\", \"2w\" (units ns, us, ms, s, m, h, d, w; a day is 24 hours, a week 7 days), or a number of seconds"}},
			Doc:    "A span of time.", Example: `time.duration("1h30m") == 90 * time.minute
time.duration("1d") == time.day`},
		{Name: "time.business_days", Phase: Pure, Returns: "int", call: businessDays,
			Params: []Param{{Name: "start", Type: "time.time"}, {Name: "end", Type: "time.time"}, holidays},
			Doc: "How many days from the date of start up to, and without, that of end are business days: Monday to Friday, and no holiday. " +
				"It is negative when end is before start, as that of NumPy's busday_count. Each time counts as the date that its own zone shows.",
			Example: `time.business_days(time.parse("2026-03-02"), time.parse("2026-03-09")) == 5`},
	}
	for _, unit := range []struct {
		name string
		d    time.Duration
	}{{"nanosecond", time.Nanosecond}, {"microsecond", time.Microsecond}, {"millisecond", time.Millisecond},
		{"second", time.Second}, {"minute", time.Minute}, {"hour", time.Hour}, {"day", day}, {"week", week}} {
		doc := "A " + unit.name + ", as a duration to reckon with."
		switch unit.d {
		case day:
			doc = "24 hours, as a duration to reckon with."
		case week:
			doc = "Seven times 24 hours, as a duration to reckon with."
		}
		rows = append(rows, Builtin{Name: "time." + unit.name, Phase: Pure, Property: true, Returns: "time.duration", Doc: doc,
			call: func(*call) (starlark.Value, error) { return duration(unit.d), nil }})
	}
	return rows
}

func timeNow(c *call) (starlark.Value, error) {
	c.run.AskedTime = true
	return instant(c.run.now().UTC().Round(0)), nil
}

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// twoMoments is for the docs of what may name no moment, or two.
const twoMoments = "Of two such moments, when clocks are put back, it is the first; a time that clocks leap over moves forward by as much."

// holidays is the parameter of what reckons with business days.
var holidays = Param{Name: "holidays", Type: "iterable of time.time or string", Default: "[]",
	Doc: "dates that are no business days, each a time or a text such as \"2026-12-25\"; at most 100000, in any order"}

// timeOf is the constructor.
func timeOf(c *call) (starlark.Value, error) {
	wall, err := c.wall(time.Time{})
	if err != nil {
		return nil, err
	}
	zone, err := c.zoneOf("location")
	if err != nil {
		return nil, err
	}
	return c.instant(localTime(wall, zone))
}

// wall is what the clocks show, as a time of UTC: the parts that the call gives,
// the others those of t.
func (c *call) wall(t time.Time) (time.Time, error) {
	part := [7]int{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond()}
	for i, bound := range [7]struct {
		name        string
		least, most int
	}{{"year", 1, 9999}, {"month", 1, 12}, {"day", 1, 31}, {"hour", 0, 23}, {"minute", 0, 59}, {"second", 0, 59}, {"nanosecond", 0, 999_999_999}} {
		if v := c.arg(bound.name); v == nil || v == starlark.None {
			continue
		}
		n, err := c.integer(bound.name, 0)
		if err != nil {
			return time.Time{}, err
		}
		if n < bound.least || n > bound.most {
			p := c.refuse(bound.name, fmt.Sprint(n), fmt.Sprintf("%d to %d", bound.least, bound.most))
			p.Code = codeTime
			return time.Time{}, p
		}
		part[i] = n
	}
	wall := time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], part[6], time.UTC)
	if wall.Day() != part[2] {
		p := c.problem(codeTime, "the month %d of %d has no day %d", part[1], part[0], part[2])
		if c.recv != nil {
			p.Hint = "give the day too, or write add_months(n), which takes the last day of a shorter month"
		}
		return time.Time{}, p
	}
	return wall, nil
}

// zoneOf is the zone that an argument names.
func (c *call) zoneOf(argument string) (*time.Location, error) {
	name, err := c.text(argument, "UTC")
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		p := c.refuse(argument, starlark.String(diag.Shorten(name)).String(), "a zone such as UTC or Europe/Paris")
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
		p := c.problem(codeTime, "%s is no such time: %s", starlark.String(diag.Shorten(text)), err)
		p.Argument = c.argument("text")
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
	case seconds == ":60" && schema.IsDateTime(text):
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
		d, ok := parseDuration(string(x))
		if !ok {
			p := c.refuse("x", starlark.String(diag.Shorten(string(x))).String(), `a duration such as "1h30m", "250ms", "2.5s" or "2w"`)
			p.Code = codeTime
			return nil, p
		}
		ns, fits := d.Int64()
		if !fits {
			return nil, outOfRange()
		}
		return duration(ns), nil
	case starlark.Int, starlark.Float:
		return duration(time.Second).times(x)
	}
	return nil, c.wrongType("x", c.arg("x"))
}

// durationForm is one part of the text of a duration.
var durationForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9]+[.]?[0-9]*|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w)`)
})

// parseDuration reads numbers with units, a sign before them: all that Go's own
// reads, and days and weeks. The result is in nanoseconds, each part cut towards zero.
func parseDuration(text string) (ns starlark.Int, ok bool) {
	rest := strings.TrimLeft(text, "+-")
	if len(text) > 100 || len(text)-len(rest) > 1 {
		return ns, false
	}
	if rest == "0" {
		return ns, true
	}
	sum := new(big.Int)
	for first := true; first || rest != ""; first = false {
		part := durationForm().FindStringSubmatch(rest)
		if part == nil {
			return ns, false
		}
		rest = rest[len(part[0]):]
		x, valid := new(big.Rat).SetString(strings.TrimSuffix(part[1], "."))
		if !valid {
			return ns, false
		}
		x.Mul(x, new(big.Rat).SetInt64(int64(unitOf(part[2]))))
		sum.Add(sum, new(big.Int).Quo(x.Num(), x.Denom()))
	}
	if text[0] == '-' {
		sum.Neg(sum)
	}
	return starlark.MakeBigInt(sum), true
}

func unitOf(name string) time.Duration {
	switch name {
	case "ns":
		return time.Nanosecond
	case "us", "µs", "μs":
		return time.Microsecond
	case "ms":
		return time.Millisecond
	case "s":
		return time.Second
	case "m":
		return time.Minute
	case "h":
		return time.Hour
	case "d":
		return day
	}
	return week
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
	part := func(name string) Param { return Param{Name: name, Type: "int", Default: "None", Kind: KeywordOnly} }
	return []Builtin{
		number("year", "1 to 9999.", time.Time.Year),
		number("month", "1 to 12.", func(t time.Time) int { return int(t.Month()) }),
		number("day", "1 to 31.", time.Time.Day),
		number("hour", "0 to 23.", time.Time.Hour),
		number("minute", "0 to 59.", time.Time.Minute),
		number("second", "0 to 59.", time.Time.Second),
		number("nanosecond", "0 to 999999999, within the second.", time.Time.Nanosecond),
		number("weekday", "0 for Monday to 6 for Sunday, as in Python.", func(t time.Time) int { return (int(t.Weekday()) + 6) % 7 }),
		number("iso_weekday", "1 for Monday to 7 for Sunday, as Python's isoweekday.", isoWeekday),
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
		{Name: "time.time.replace", Phase: Pure, Method: true, Returns: "time.time", call: timeReplace,
			Params: []Param{part("year"), part("month"), part("day"), part("hour"), part("minute"), part("second"), part("nanosecond"),
				{Name: "location", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "UTC, or a name such as Europe/Paris: what the clocks show stays"}},
			Doc:     "The time with other parts, as Python's replace. A day that the month does not have is an error. " + twoMoments,
			Example: `time.parse("2026-03-15").replace(day = 1) == time.parse("2026-03-01")`},
		{Name: "time.time.truncate", Phase: Pure, Method: true, Returns: "time.time", call: timeTruncate,
			Params: []Param{{Name: "unit", Type: "string or time.duration", Kind: Positional,
				Doc: "one of " + strings.Join(timeUnits, ", ") + ": a week starts on Monday, a quarter in January, April, July or October; or a duration above 0, whose multiples are counted from 1970-01-01T00:00:00 on the clocks of the zone"}},
			Doc: "The start of the hour, the day, the month or the like that the time is in, as the clocks of its zone show it. It is never after the time itself.",
			Example: `time.parse("2026-03-15T12:40:00Z").truncate("month") == time.parse("2026-03-01")
time.parse("2026-03-15T12:40:00Z").truncate(time.duration("15m")).minute == 30`},
		{Name: "time.time.add_months", Phase: Pure, Method: true, Returns: "time.time", call: timeAddMonths,
			Params:  []Param{{Name: "n", Type: "int", Doc: "may be negative"}},
			Doc:     "The same day and time of day n months later: where that month is too short its last day, so that 31 January and one month is 28 or 29 February. " + twoMoments,
			Example: `time.parse("2026-01-31").add_months(1) == time.parse("2026-02-28")`},
		{Name: "time.time.add_business_days", Phase: Pure, Method: true, Returns: "time.time", call: timeAddBusinessDays,
			Params: []Param{{Name: "n", Type: "int", Doc: "may be negative"}, holidays,
				{Name: "roll", Type: "string", Default: `"raise"`, Kind: KeywordOnly, Doc: "what a date that is no business day becomes first, as in NumPy's busday_offset: one of " + strings.Join(timeRolls, ", ")}},
			Doc: "The same time of day n business days later: Monday to Friday, and no holiday. A date that is none itself is an error, unless roll says to which it is moved before days are counted: " +
				"`forward` (or `following`) to the next one, `backward` (or `preceding`) to the one before; `modifiedfollowing` and `modifiedpreceding` the other way where the month would be another.",
			Example: `time.parse("2026-03-06").add_business_days(1) == time.parse("2026-03-09")
time.parse("2026-03-07").add_business_days(0, roll = "forward") == time.parse("2026-03-09")`},
		{Name: "time.time.iso_calendar", Phase: Pure, Method: true, Returns: "(int, int, int)",
			Doc:     "The year, the week and the weekday of ISO 8601, as Python's isocalendar: weeks start on Monday, and week 1 is that of the year's first Thursday.",
			Example: `time.parse("2027-01-01").iso_calendar() == (2026, 53, 5)`,
			call: func(c *call) (starlark.Value, error) {
				t := time.Time(c.recv.(instant))
				year, week := t.ISOWeek()
				return starlark.Tuple{starlark.MakeInt(year), starlark.MakeInt(week), starlark.MakeInt(isoWeekday(t))}, nil
			}},
	}
}

// isoWeekday is 1 for Monday to 7 for Sunday.
func isoWeekday(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }

// wallOf is what the clocks of a time's zone show, as a time of UTC.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// onDate is what the clocks show, on another day; days are counted from the
// start of 1970.
func onDate(wall time.Time, days int) time.Time {
	return time.Date(1970, 1, 1+days, wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), time.UTC)
}

func timeReplace(c *call) (starlark.Value, error) {
	t := time.Time(c.recv.(instant))
	wall, err := c.wall(t)
	if err != nil {
		return nil, err
	}
	zone := t.Location()
	if v := c.arg("location"); v != nil && v != starlark.None {
		if zone, err = c.zoneOf("location"); err != nil {
			return nil, err
		}
	}
	if zone == t.Location() && wall.Equal(wallOf(t)) {
		return c.recv, nil // also when it is the second of two such moments
	}
	return c.instant(localTime(wall, zone))
}

// timeUnits are the names that truncate takes.
var timeUnits = []string{"second", "minute", "hour", "day", "week", "month", "quarter", "year"}

// CheckTimeUnit says what is wrong with a unit of truncate. The error is a
// *diag.Problem.
func CheckTimeUnit(unit string) error {
	if slices.Contains(timeUnits, unit) {
		return nil
	}
	p := &diag.Problem{Code: codeTime, Message: "there is no unit " + starlark.String(diag.Shorten(unit)).String(), Wanted: "one of " + strings.Join(timeUnits, ", ")}
	if near := diag.Nearest(unit, timeUnits); near != "" {
		p.Hint = "did you mean `" + near + "`?"
	} else if _, ok := parseDuration(unit); ok {
		p.Hint = "write truncate(time.duration(...)) for a duration"
	}
	return p
}

func timeTruncate(c *call) (starlark.Value, error) {
	t := time.Time(c.recv.(instant))
	var start time.Time
	switch unit := c.arg("unit").(type) {
	case starlark.String:
		if err := CheckTimeUnit(string(unit)); err != nil {
			p := err.(*diag.Problem)
			p.Message = c.builtin.Name + ": " + p.Message
			p.Argument = c.argument("unit")
			return nil, p
		}
		start = startOf(wallOf(t), string(unit))
	case duration:
		if unit <= 0 {
			return nil, c.refuse("unit", unit.String(), "a duration above 0")
		}
		start = floorTo(wallOf(t), time.Duration(unit))
	default:
		return nil, c.wrongType("unit", unit)
	}
	return c.instant(shownBefore(start, t))
}

// startOf is when the unit that wall is in started, both as times of UTC.
func startOf(wall time.Time, unit string) time.Time {
	year, month, day := wall.Date()
	switch unit {
	case "second":
		return wall.Truncate(time.Second)
	case "minute":
		return wall.Truncate(time.Minute)
	case "hour":
		return wall.Truncate(time.Hour)
	case "week":
		day -= isoWeekday(wall) - 1
	case "month":
		day = 1
	case "quarter":
		month, day = (month-1)/3*3+1, 1
	case "year":
		month, day = 1, 1
	}
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// floorTo is the last multiple of d, counted from the start of 1970, that is not
// after wall.
func floorTo(wall time.Time, d time.Duration) time.Time {
	// The nanoseconds of 10,000 years are more than an int64 holds.
	ns := new(big.Int).Mul(big.NewInt(wall.Unix()), big.NewInt(int64(time.Second)))
	ns.Add(ns, big.NewInt(int64(wall.Nanosecond())))
	left := new(big.Int).Mod(ns, big.NewInt(int64(d))) // 0 or more: rounded down before 1970 too
	return wall.Add(-time.Duration(left.Int64()))
}

// shownBefore is the moment not after t when the clocks of t's zone showed wall,
// which is not after what they show at t: with t's own offset where that can be.
// A time that clocks leapt over is the moment of the leap.
func shownBefore(wall, t time.Time) time.Time {
	_, offset := t.Zone()
	same := wall.Add(-time.Duration(offset) * time.Second).In(t.Location())
	if _, o := same.Zone(); o == offset {
		return same
	}
	shown := localTime(wall, t.Location())
	if wallOf(shown).Equal(wall) {
		return shown
	}
	leap, _ := shown.ZoneBounds()
	return leap
}

func timeAddMonths(c *call) (starlark.Value, error) {
	t := time.Time(c.recv.(instant))
	n, err := c.integer("n", 0)
	if err != nil {
		return nil, err
	}
	const most = 12 * 9999
	if n < -most || n > most {
		return nil, c.beyond()
	}
	wall := wallOf(t)
	month := wall.Month() + time.Month(n)
	last := time.Date(wall.Year(), month+1, 0, 0, 0, 0, 0, time.UTC) // the day before the next month's first
	if !inRange(last) {
		return nil, c.beyond()
	}
	if n == 0 {
		return c.recv, nil
	}
	wall = time.Date(last.Year(), last.Month(), min(wall.Day(), last.Day()), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), time.UTC)
	return c.instant(localTime(wall, t.Location()))
}

// dayNumber counts the days of a time's date, as its zone shows it, from the
// start of 1970.
func dayNumber(t time.Time) int {
	return int(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// aMonday is the number of a day that is one, before all of the year 1.
const aMonday = 4 - 7*110_000

// weekdayNumber counts the days from Monday to Friday up to a day, without it:
// the number of that day when it is one itself.
func weekdayNumber(day int) int {
	weeks, rest := (day-aMonday)/7, (day-aMonday)%7
	return 5*weeks + min(rest, 5)
}

// dayOfWeekday is the day of a weekdayNumber.
func dayOfWeekday(n int) int { return aMonday + n/5*7 + n%5 }

// isWeekend says whether a day is a Saturday or a Sunday.
func isWeekend(day int) bool { return (day-aMonday)%7 >= 5 }

// calendar is the holidays that are no weekend, as sorted weekdayNumbers.
type calendar []int

// holidayList bounds the holidays of one call: those of 100 zones and 10 years.
const holidayList = 100_000

func (c *call) calendar() (calendar, error) {
	if c.arg("holidays") == nil {
		return nil, nil
	}
	it, err := c.iterable("holidays")
	if err != nil {
		return nil, err
	}
	var days calendar
	seen := 0
	err = c.each(it, func(v starlark.Value) error {
		if seen++; seen > holidayList {
			p := c.problem(codeTooMuch, "there are too many holidays")
			p.Wanted = fmt.Sprintf("at most %d", holidayList)
			return p
		}
		var at int
		switch v := v.(type) {
		case instant:
			at = dayNumber(time.Time(v))
		case starlark.String:
			t, err := parseISO(string(v), time.UTC)
			if err != nil || !inRange(t) {
				p := c.refuse("holidays", starlark.String(diag.Shorten(string(v))).String(), "dates as 2026-12-25")
				p.Code = codeTime
				return p
			}
			at = dayNumber(t)
		default:
			p := c.wrongType("holidays", v)
			p.Found = diag.TypeName(v) + " among them"
			return p
		}
		if !isWeekend(at) {
			days = append(days, weekdayNumber(at))
		}
		return nil
	})
	slices.Sort(days)
	return slices.Compact(days), err
}

// number counts the business days up to a day, without it.
func (h calendar) number(day int) int {
	n := weekdayNumber(day)
	before, _ := slices.BinarySearch(h, n)
	return n - before
}

// open says whether a day is a business day.
func (h calendar) open(day int) bool {
	_, holiday := slices.BinarySearch(h, weekdayNumber(day))
	return !isWeekend(day) && !holiday
}

// day is the business day of a number.
func (h calendar) day(n int) int {
	for _, holiday := range h { // sorted: each that is not behind the day moves it on by one
		if holiday > n {
			break
		}
		n++
	}
	return dayOfWeekday(n)
}

func (c *call) moment(name string) (time.Time, error) {
	t, ok := c.arg(name).(instant)
	if !ok {
		p := c.wrongType(name, c.arg(name))
		if _, isText := c.arg(name).(starlark.String); isText {
			p.Hint = "time.parse(text) makes a time of it"
		}
		return time.Time{}, p
	}
	return time.Time(t), nil
}

func businessDays(c *call) (starlark.Value, error) {
	start, err := c.moment("start")
	if err != nil {
		return nil, err
	}
	end, err := c.moment("end")
	if err != nil {
		return nil, err
	}
	open, err := c.calendar()
	if err != nil {
		return nil, err
	}
	from, to := dayNumber(start), dayNumber(end)
	if to < from { // NumPy counts the days behind end up to start, start with them
		return starlark.MakeInt(open.number(to+1) - open.number(from+1)), nil
	}
	return starlark.MakeInt(open.number(to) - open.number(from)), nil
}

// timeRolls are the names that add_business_days takes.
var timeRolls = []string{"raise", "forward", "following", "backward", "preceding", "modifiedfollowing", "modifiedpreceding"}

func timeAddBusinessDays(c *call) (starlark.Value, error) {
	t := time.Time(c.recv.(instant))
	n, err := c.integer("n", 0)
	if err != nil {
		return nil, err
	}
	open, err := c.calendar()
	if err != nil {
		return nil, err
	}
	roll, err := c.text("roll", "raise")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(timeRolls, roll) {
		return nil, c.refuse("roll", starlark.String(diag.Shorten(roll)).String(), "one of "+strings.Join(timeRolls, ", "))
	}
	const most = 10_000 * 366
	if n < -most || n > most {
		return nil, c.beyond()
	}
	from := dayNumber(t)
	if !open.open(from) {
		if roll == "raise" {
			p := c.problem(codeTime, "%s is no business day", t.Format("2006-01-02, a Monday,"))
			p.Hint = `say where to count from: roll = "forward" or roll = "backward"`
			return nil, p
		}
		from = open.roll(from, roll)
	}
	to := open.day(open.number(from) + n)
	wall := onDate(wallOf(t), to)
	if !inRange(wall) {
		return nil, c.beyond()
	}
	if to == dayNumber(t) {
		return c.recv, nil
	}
	return c.instant(localTime(wall, t.Location()))
}

// roll is the business day that one which is none is moved to.
func (h calendar) roll(day int, how string) int {
	n := h.number(day) // that of the next one
	next, before := h.day(n), h.day(n-1)
	month := func(day int) time.Month { return onDate(time.Time{}, day).Month() }
	switch {
	case how == "backward" || how == "preceding",
		how == "modifiedfollowing" && month(next) != month(day),
		how == "modifiedpreceding" && month(before) == month(day):
		return before
	}
	return next
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
		row("days", "float", "The whole of it in days of 24 hours.", func(d time.Duration) starlark.Value { return starlark.Float(d.Hours() / 24) }),
		row("hours", "float", "The whole of it in hours.", func(d time.Duration) starlark.Value { return starlark.Float(d.Hours()) }),
		row("minutes", "float", "The whole of it in minutes.", func(d time.Duration) starlark.Value { return starlark.Float(d.Minutes()) }),
		row("seconds", "float", "The whole of it in seconds.", func(d time.Duration) starlark.Value { return starlark.Float(d.Seconds()) }),
		row("milliseconds", "int", "The whole of it in milliseconds, cut towards zero.", func(d time.Duration) starlark.Value { return starlark.MakeInt64(d.Milliseconds()) }),
		row("microseconds", "int", "The whole of it in microseconds, cut towards zero.", func(d time.Duration) starlark.Value { return starlark.MakeInt64(d.Microseconds()) }),
		row("nanoseconds", "int", "The whole of it in nanoseconds.", func(d time.Duration) starlark.Value { return starlark.MakeInt64(d.Nanoseconds()) }),
	}
}

// directives are what a format may have, for the docs.
const directives = "`%Y %m %d %H %M %S %f %z %Z %y %j %b %B %a %A %I %p %G %V %u %w %U %W %%`"

// formatError is a format with a directive that is not known.
type formatError struct{ found, wanted string }

func (e formatError) Error() string { return e.found }

// CheckTimeFormat says what is wrong with a format of time.parse and of
// time.time.format. The error is a *diag.Problem.
func CheckTimeFormat(format string) error {
	err := eachDirective(format, func(string) error { return nil }, func(byte) error { return nil })
	if wrong, ok := err.(formatError); ok {
		return &diag.Problem{Code: codeTime, Message: "the format has " + wrong.found, Wanted: wrong.wanted}
	}
	return err
}

// eachDirective calls literal for the plain parts of a format and directive for
// the letters behind a "%".
func eachDirective(format string, literal func(string) error, directive func(byte) error) error {
	for format != "" {
		plain, rest, found := strings.Cut(format, "%")
		if plain != "" {
			if err := literal(plain); err != nil {
				return err
			}
		}
		if !found {
			return nil
		}
		if rest == "" {
			return formatError{"a `%` at the end", "`%%` for a percent sign"}
		}
		if strings.IndexByte("YmdHMSfzZyjbBaAIpGVuwUW%", rest[0]) < 0 {
			r, _ := utf8.DecodeRuneInString(rest)
			return formatError{fmt.Sprintf("`%%%c`", r), "one of " + directives}
		}
		if err := directive(rest[0]); err != nil {
			return err
		}
		format = rest[1:]
	}
	return nil
}

// layoutOf is how Go writes a directive, "" for those it cannot write alone.
func layoutOf(letter byte) string {
	switch letter {
	case 'Y':
		return "2006"
	case 'm':
		return "01"
	case 'd':
		return "02"
	case 'H':
		return "15"
	case 'M':
		return "04"
	case 'S':
		return "05"
	case 'z':
		return "-0700"
	case 'Z':
		return "MST"
	case 'y':
		return "06"
	case 'j':
		return "002"
	case 'b':
		return "Jan"
	case 'B':
		return "January"
	case 'a':
		return "Mon"
	case 'A':
		return "Monday"
	case 'I':
		return "03"
	case 'p':
		return "PM"
	}
	return ""
}

// withSeconds is the layout long for a time whose offset has seconds, as those
// from before there were zones do; else short.
func withSeconds(t time.Time, short, long string) string {
	if _, offset := t.Zone(); offset%60 != 0 {
		return long
	}
	return short
}

// formatTime is Python's strftime.
func formatTime(t time.Time, format string) (string, error) {
	var b strings.Builder
	err := eachDirective(format, func(s string) error {
		b.WriteString(s)
		return nil
	}, func(letter byte) error {
		switch letter {
		case 'f':
			fmt.Fprintf(&b, "%06d", t.Nanosecond()/1000)
		case '%':
			b.WriteByte('%')
		case 'z':
			b.WriteString(t.Format(withSeconds(t, "-0700", "-070000")))
		case 'G', 'V':
			year, week := t.ISOWeek()
			if letter == 'G' {
				fmt.Fprintf(&b, "%04d", year)
			} else {
				fmt.Fprintf(&b, "%02d", week)
			}
		case 'u':
			fmt.Fprint(&b, isoWeekday(t))
		case 'w':
			fmt.Fprint(&b, int(t.Weekday()))
		case 'U': // weeks that start on Sunday; what is before the first is week 0
			fmt.Fprintf(&b, "%02d", (t.YearDay()+6-int(t.Weekday()))/7)
		case 'W': // weeks that start on Monday
			fmt.Fprintf(&b, "%02d", (t.YearDay()+7-isoWeekday(t))/7)
		default:
			b.WriteString(t.Format(layoutOf(letter)))
		}
		return nil
	})
	return b.String(), err
}

// timeParser reads one text by one format.
type timeParser struct {
	rest                                       string
	year, month, day, hour, minute, sec, nanos int
	yearday                                    int  // 0 when not given
	weekday                                    int  // 1 for Monday to 7 for Sunday, 0 when not given
	isoYear                                    int  // of %G, 0 when not given
	isoWeek, sunWeek, monWeek                  int  // of %V, %U and %W, -1 when not given
	half                                       int  // of the day: 0 not given, 1 AM, 2 PM
	twelve                                     bool // the hour is one of 12
	zone                                       *time.Location
}

// localTime is the moment when the clocks of a zone show what wall shows in UTC.
// Of two such moments it is the first; a time that clocks leap over moves
// forward by as much. time.Date promises neither. Clocks are put forward or
// back less than a day from the wall time, so the offsets of the day before and
// of the day after are all there are.
func localTime(wall time.Time, zone *time.Location) time.Time {
	_, before := wall.AddDate(0, 0, -1).In(zone).Zone()
	_, after := wall.AddDate(0, 0, 1).In(zone).Zone()
	first := wall.Add(-time.Duration(before) * time.Second).In(zone)
	second := wall.Add(-time.Duration(after) * time.Second).In(zone)
	if _, offset := first.Zone(); offset == before {
		return first
	}
	if _, offset := second.Zone(); offset == after {
		return second
	}
	return first // shown with the offset from after the leap
}

// parseTime is Python's strptime, but years and offsets have all their digits:
// another field may have fewer digits than its most, white space in the format matches any, names are English.
func parseTime(text, format string, zone *time.Location) (time.Time, error) {
	p := timeParser{rest: text, year: 1900, month: 1, day: 1, isoWeek: -1, sunWeek: -1, monWeek: -1, zone: zone}
	if err := eachDirective(format, p.literal, p.directive); err != nil {
		return time.Time{}, err
	}
	if p.rest != "" {
		return time.Time{}, fmt.Errorf("%q is left over", diag.Shorten(p.rest))
	}
	return p.time()
}

// time puts together what was read.
func (p *timeParser) time() (time.Time, error) {
	if p.twelve && p.half == 0 {
		return time.Time{}, formatError{"`%I` without `%p`", "`%I` with `%p`, or `%H`"}
	}
	if p.half > 0 {
		if p.hour < 1 || p.hour > 12 {
			return time.Time{}, errors.New("an hour with AM or PM is 1 to 12")
		}
		p.hour = p.hour%12 + 12*(p.half-1)
	}
	if p.yearday > 0 {
		first := time.Date(p.year, 1, p.yearday, 0, 0, 0, 0, time.UTC)
		if first.Year() != p.year {
			return time.Time{}, fmt.Errorf("the year %d has no day %d", p.year, p.yearday)
		}
		p.month, p.day = int(first.Month()), first.Day()
	}
	if err := p.weeks(); err != nil {
		return time.Time{}, err
	}
	t := localTime(time.Date(p.year, time.Month(p.month), p.day, p.hour, p.minute, p.sec, p.nanos, time.UTC), p.zone)
	if _, m, d := time.Date(p.year, time.Month(p.month), p.day, 0, 0, 0, 0, time.UTC).Date(); int(m) != p.month || d != p.day {
		return time.Time{}, fmt.Errorf("the month %d of %d has no day %d", p.month, p.year, p.day)
	}
	return t, nil
}

// weeks finds the date of a week and a weekday, in the forms that Python takes:
// %G with %V and a weekday, or %U or %W with a year and a weekday; without a
// weekday it means nothing.
func (p *timeParser) weeks() error {
	switch {
	case p.isoYear > 0 && (p.isoWeek < 0 || p.weekday == 0):
		return formatError{"`%G` alone", "`%G-W%V-%u`: a year of ISO weeks with the week and a weekday"}
	case p.isoYear > 0 && p.yearday > 0:
		return formatError{"`%G` with `%j`", "`%Y` with `%j`"}
	case p.isoYear == 0 && p.isoWeek >= 0:
		return formatError{"`%V` without `%G`", "`%G-W%V-%u`: the year of ISO weeks is not that of `%Y`"}
	case p.yearday > 0 || p.weekday == 0:
		return nil
	}
	var date time.Time
	switch {
	case p.isoYear > 0:
		// 4 January is always in week 1.
		monday := time.Date(p.isoYear, 1, 4, 0, 0, 0, 0, time.UTC)
		date = monday.AddDate(0, 0, 7*(p.isoWeek-1)+p.weekday-isoWeekday(monday))
		if _, week := monday.AddDate(0, 0, 7*(p.isoWeek-1)).ISOWeek(); week != p.isoWeek {
			return fmt.Errorf("the year %d has no week %d", p.isoYear, p.isoWeek)
		}
	case p.monWeek >= 0:
		first := time.Date(p.year, 1, 1, 0, 0, 0, 0, time.UTC)
		date = weekOfYear(p.year, p.monWeek, p.weekday-1, isoWeekday(first)-1)
	case p.sunWeek >= 0:
		first := time.Date(p.year, 1, 1, 0, 0, 0, 0, time.UTC)
		date = weekOfYear(p.year, p.sunWeek, p.weekday%7, int(first.Weekday()))
	default:
		return nil
	}
	if !inRange(date) {
		return errors.New("the year is not 1 to 9999")
	}
	p.year, p.month, p.day = date.Year(), int(date.Month()), date.Day()
	return nil
}

// weekOfYear is the day of a week, counted from 0 for its first, in the week n of
// a year that starts on the day `first` of a week: week 1 is the first whole one.
// Where week 1 starts on the year's first day, Python takes week 0 for the same.
func weekOfYear(year, n, day, first int) time.Time {
	if first == 0 {
		n = max(n, 1)
	}
	return time.Date(year, 1, 1+(7-first)%7+7*(n-1)+day, 0, 0, 0, 0, time.UTC)
}

func (p *timeParser) literal(s string) error {
	for _, r := range s {
		if strings.ContainsRune(" \t\n\r", r) {
			p.rest = strings.TrimLeft(p.rest, " \t\n\r")
			continue
		}
		after, ok := strings.CutPrefix(p.rest, string(r))
		if !ok {
			return p.want(fmt.Sprintf("%q", r))
		}
		p.rest = after
	}
	return nil
}

// want complains of what stands where something else was to be.
func (p *timeParser) want(wanted string) error {
	if p.rest == "" {
		return fmt.Errorf("it ends where %s is wanted", wanted)
	}
	return fmt.Errorf("%q where %s is wanted", diag.Shorten(p.rest), wanted)
}

func (p *timeParser) directive(letter byte) error {
	switch letter {
	case 'Y':
		return p.exactly(&p.year, 4, 1, 9999)
	case 'G':
		return p.exactly(&p.isoYear, 4, 1, 9999)
	case 'V':
		return p.number(&p.isoWeek, 2, 1, 53)
	case 'U':
		return p.number(&p.sunWeek, 2, 0, 53)
	case 'W':
		return p.number(&p.monWeek, 2, 0, 53)
	case 'u':
		return p.number(&p.weekday, 1, 1, 7)
	case 'w':
		err := p.number(&p.weekday, 1, 0, 6)
		if p.weekday == 0 {
			p.weekday = 7
		}
		return err
	case 'y':
		err := p.exactly(&p.year, 2, 0, 99)
		p.year += 1900
		if p.year < 1969 {
			p.year += 100
		}
		return err
	case 'm':
		return p.number(&p.month, 2, 1, 12)
	case 'd':
		return p.number(&p.day, 2, 1, 31)
	case 'j':
		return p.number(&p.yearday, 3, 1, 366)
	case 'H':
		p.twelve = false
		return p.number(&p.hour, 2, 0, 23)
	case 'I':
		p.twelve = true
		return p.number(&p.hour, 2, 1, 12)
	case 'M':
		return p.number(&p.minute, 2, 0, 59)
	case 'S':
		return p.number(&p.sec, 2, 0, 59)
	case 'f':
		before := len(p.rest)
		err := p.number(&p.nanos, 9, 0, 999_999_999)
		for n := before - len(p.rest); n < 9; n++ {
			p.nanos *= 10
		}
		return err
	case 'p':
		return p.name(&p.half, "AM", "PM")
	case 'b':
		return p.name(&p.month, "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
	case 'B':
		return p.name(&p.month, "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
	case 'a':
		return p.name(&p.weekday, "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
	case 'A':
		return p.name(&p.weekday, "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
	case 'z':
		return p.offset()
	case 'Z':
		return p.named()
	}
	return p.literal("%")
}

// number reads at most that many digits.
func (p *timeParser) number(into *int, digits, least, most int) error {
	n, i := 0, 0
	for i < len(p.rest) && i < digits && '0' <= p.rest[i] && p.rest[i] <= '9' {
		n = n*10 + int(p.rest[i]-'0')
		i++
	}
	if i == 0 || n < least || n > most {
		return p.want(fmt.Sprintf("a number from %d to %d", least, most))
	}
	*into, p.rest = n, p.rest[i:]
	return nil
}

// exactly reads a number of that many digits.
func (p *timeParser) exactly(into *int, digits, least, most int) error {
	for i := range digits {
		if i >= len(p.rest) || !startsWithDigit(p.rest[i:]) {
			return p.want(fmt.Sprintf("a number of %d digits", digits))
		}
	}
	return p.number(into, digits, least, most)
}

func startsWithDigit(s string) bool { return s != "" && '0' <= s[0] && s[0] <= '9' }

// name reads one of some names, in any case; into counts them from 1.
func (p *timeParser) name(into *int, names ...string) error {
	for i, name := range names {
		if len(p.rest) >= len(name) && strings.EqualFold(p.rest[:len(name)], name) {
			*into, p.rest = i+1, p.rest[len(name):]
			return nil
		}
	}
	return p.want("one of " + strings.Join(names, ", "))
}

// offset reads Z, +0200 or +02:00; with seconds where there are two more digits.
func (p *timeParser) offset() error {
	if after, ok := strings.CutPrefix(p.rest, "Z"); ok {
		p.rest, p.zone = after, time.UTC
		return nil
	}
	if p.rest == "" || p.rest[0] != '+' && p.rest[0] != '-' {
		return p.want("an offset such as +0200")
	}
	sign := 1
	if p.rest[0] == '-' {
		sign = -1
	}
	p.rest = p.rest[1:]
	var hours, minutes, seconds int
	if err := p.exactly(&hours, 2, 0, 23); err != nil {
		return err
	}
	after, colon := strings.CutPrefix(p.rest, ":")
	p.rest = after
	if err := p.exactly(&minutes, 2, 0, 59); err != nil {
		return err
	}
	if after, ok := strings.CutPrefix(p.rest, ":"); ok && colon && startsWithDigit(after) || !colon && startsWithDigit(p.rest) {
		p.rest = strings.TrimPrefix(p.rest, ":")
		if err := p.exactly(&seconds, 2, 0, 59); err != nil {
			return err
		}
	}
	p.zone = time.FixedZone("", sign*((hours*60+minutes)*60+seconds))
	return nil
}

// named reads UTC or GMT: the other short names mean different zones to
// different people.
func (p *timeParser) named() error {
	var which int
	if err := p.name(&which, "UTC", "GMT"); err != nil {
		return err
	}
	p.zone = time.UTC
	return nil
}
