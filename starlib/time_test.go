package starlib

import (
	"math/rand"
	"slices"
	"testing"
	"time"
)

// days are some of each kind, from the year 1 to the year 9999.
func days(rng *rand.Rand, n int) []time.Time {
	all := []time.Time{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC)}
	for range n {
		all = append(all, time.Date(1+rng.Intn(9999), 1, 1+rng.Intn(365), rng.Intn(24), rng.Intn(60), rng.Intn(60), rng.Intn(1e9), time.UTC))
	}
	return all
}

// The closed forms give what counting day by day does.
func TestBusinessDaysByCounting(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for _, start := range days(rng, 50) {
		from := dayNumber(start)
		var open calendar
		for range rng.Intn(40) {
			if day := from + rng.Intn(200) - 100; !isWeekend(day) {
				open = append(open, weekdayNumber(day))
			}
		}
		slices.Sort(open)
		open = slices.Compact(open)
		isOpen := func(day int) bool {
			weekday := time.Unix(int64(day)*86400, 0).UTC().Weekday()
			return weekday != time.Saturday && weekday != time.Sunday && !slices.Contains(open, weekdayNumber(day))
		}
		count := 0
		for day := from; day < from+150; day++ {
			if got := open.open(day); got != isOpen(day) {
				t.Fatalf("day %d: got open %v, want %v", day, got, isOpen(day))
			}
			if got := open.number(day) - open.number(from); got != count {
				t.Fatalf("from %d to %d: got %d business days, want %d", from, day, got, count)
			}
			if isOpen(day) {
				if got := open.day(open.number(day)); got != day {
					t.Fatalf("the business day %d: got %d", day, got)
				}
				count++
			}
		}
	}
}

// The start of a unit is not after the time, is its own start, and is shared by
// all that is between.
func TestTruncateKeepsItsOrder(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	for _, name := range []string{"UTC", "Europe/Paris", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "Africa/Casablanca"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range append(slices.Clone(timeUnits), "15m", "7h", "36h") {
			start := func(at time.Time) time.Time {
				if ns, ok := parseDuration(unit); ok {
					d, _ := ns.Int64()
					return shownBefore(floorTo(wallOf(at), time.Duration(d)), at)
				}
				return shownBefore(startOf(wallOf(at), unit), at)
			}
			for range 60 {
				at := time.Date(1980+rng.Intn(50), 1, 1+rng.Intn(365), rng.Intn(24), rng.Intn(60), rng.Intn(60), 0, time.UTC).In(zone)
				if rng.Intn(2) == 0 { // near where clocks are put forward or back
					if _, end := at.ZoneBounds(); !end.IsZero() {
						at = end.Add(time.Duration(rng.Intn(7200)-3600) * time.Second)
					}
				}
				got := start(at)
				if got.After(at) {
					t.Fatalf("%s of %s: got %s, which is later", unit, at, got)
				}
				if again := start(got); !again.Equal(got) {
					t.Fatalf("%s of %s: got %s, and of that %s", unit, at, got, again)
				}
			}
		}
	}
}

// What a format of weeks writes, it reads.
func TestWeeksBothWays(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	for _, at := range days(rng, 300) {
		for _, format := range []string{"%G-%V-%u", "%Y %U %w", "%Y %W %A", "%Y %W %a"} {
			text, err := formatTime(at, format)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseTime(text, format, time.UTC)
			if err != nil || dayNumber(got) != dayNumber(at) {
				t.Errorf("%s as %s: got %s, %v; want %s", text, format, got, err, at)
			}
		}
	}
}
