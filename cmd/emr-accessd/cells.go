package main

import (
	"strings"

	"github.com/rivo/uniseg"
)

// cells is the width of a text on a terminal: wide characters take two cells, marks none.
func cells(s string) int { return uniseg.StringWidth(s) }

// fit cuts a text to a width in cells, never within a character.
func fit(s string, width int) string {
	if cells(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	var b strings.Builder
	left := width - 1 // for the dots
	for state := -1; s != ""; {
		var one string
		var w int
		one, s, w, state = uniseg.FirstGraphemeClusterInString(s, state)
		if w > left {
			break
		}
		b.WriteString(one)
		left -= w
	}
	return b.String() + "…"
}

// pad fills a text with spaces up to a width in cells.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-cells(s)))
}

// wrap breaks a text at spaces into lines of a width in cells, at most so many. What is behind them is cut.
func wrap(s string, width, most int) (lines []string) {
	words := strings.Fields(s)
	for len(words) > 0 {
		line := words[0]
		words = words[1:]
		for len(words) > 0 && cells(line)+1+cells(words[0]) <= width {
			line += " " + words[0]
			words = words[1:]
		}
		if len(lines) == most-1 && len(words) > 0 {
			line += " " + strings.Join(words, " ")
			words = nil
		}
		lines = append(lines, fit(line, width))
	}
	return lines
}
