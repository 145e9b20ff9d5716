package starlib

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"perago/starlib/diag"
)

// directives are what a format may have, for the docs.
const directives = "`%Y %m %d %H %M %S %f %z %Z %y %j %b %B %a %A %I %p %%`"

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
		if strings.IndexByte("YmdHMSfzZyjbBaAIp%", rest[0]) < 0 {
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
	p := timeParser{rest: text, year: 1900, month: 1, day: 1, zone: zone}
	if err := eachDirective(format, p.literal, p.directive); err != nil {
		return time.Time{}, err
	}
	if p.rest != "" {
		return time.Time{}, fmt.Errorf("%q is left over", shorten(p.rest))
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
	t := localTime(time.Date(p.year, time.Month(p.month), p.day, p.hour, p.minute, p.sec, p.nanos, time.UTC), p.zone)
	if _, m, d := time.Date(p.year, time.Month(p.month), p.day, 0, 0, 0, 0, time.UTC).Date(); int(m) != p.month || d != p.day {
		return time.Time{}, fmt.Errorf("the month %d of %d has no day %d", p.month, p.year, p.day)
	}
	return t, nil
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
	return fmt.Errorf("%q where %s is wanted", shorten(p.rest), wanted)
}

func (p *timeParser) directive(letter byte) error {
	switch letter {
	case 'Y':
		return p.exactly(&p.year, 4, 1, 9999)
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
		return p.name(new(int), "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
	case 'A':
		return p.name(new(int), "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
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
