package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// suggest is the hint for a key that a table does not have. All known keys are given, by table.
func suggest(known map[string][]string, table, key string) string {
	if near := nearest(key, known[table]); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	plain := spelling(key)
	for _, other := range slices.Sorted(maps.Keys(known)) {
		if slices.Contains(known[other], plain) && other != "" {
			return fmt.Sprintf("%s belongs into %s", plain, header(other))
		}
	}
	return "the keys here are " + strings.Join(known[table], ", ")
}

func header(table string) string {
	if table == "target" || table == "address.source" {
		return "[[" + table + "]]"
	}
	return "[" + table + "]"
}

// spelling is how our keys are written: lower case, with hyphens.
func spelling(key string) string {
	return strings.ReplaceAll(strings.ToLower(key), "_", "-")
}

// nearest is the known word that needs the fewest edits, if that is at most two and less than half of it.
func nearest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := edits(spelling(word), k); d < distance && 2*d < len(k) {
			best, distance = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes. Words far from any key are not worth the time.
func edits(a, b string) int {
	if len(a) > 2*len(b)+2 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
