package diag

import "strings"

// longestName bounds the names that are guessed at, in bytes: they may come from
// a hostile input.
const longestName = 200

// Nearest returns the candidate that name was most likely meant to be, or "".
// The distance is Damerau-Levenshtein's (restricted), ignoring case and
// underscores; at most a third of the name may differ, and never all of it.
func Nearest(name string, candidates []string) string {
	fold := func(s string) []rune { return []rune(strings.ToLower(strings.ReplaceAll(s, "_", ""))) }
	if len(name) > longestName {
		return ""
	}
	want := fold(name)
	limit := max(1, len(want)/3)
	best := ""
	for _, c := range candidates {
		if len(c) > longestName {
			continue
		}
		have := fold(c)
		if len(have) > len(want)+limit || len(want) > len(have)+limit {
			continue // the distance is at least the difference in length
		}
		if d := distance(want, have); d <= limit && d < len(want) && c != name {
			if d < limit || best == "" {
				best, limit = c, d
			}
		}
	}
	return best
}

func distance(a, b []rune) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
