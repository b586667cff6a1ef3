package notify

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Message is what is shown: plain text.
type Message struct {
	Title  string
	Text   string
	Urgent bool
}

// Desktop shows messages.
type Desktop interface {
	// Show returns when the system has taken the message. The error wraps [ErrNoDesktop] when there is nobody to show it.
	Show(ctx context.Context, m Message) error
}

// ErrNoDesktop says that there is no desktop here: nobody is logged in, or it shows no notifications.
var ErrNoDesktop = errors.New("no desktop takes notifications")

// The longest texts that are handed on, in characters. Desktops cut earlier.
const (
	longestTitle = 100
	longestText  = 400
)

// plain is a message that no desktop could take for more than text: one line each, of printable characters, cut.
func (m Message) plain() Message {
	m.Title, m.Text = plainText(m.Title, longestTitle), plainText(m.Text, longestText)
	return m
}

func plainText(s string, longest int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp):
			return ' '
		}
		return r
	}, s)
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return string(runes)
}

// markup escapes what a server that reads markup in the text would take for it (Desktop Notifications Specification
// 1.3, "Markup").
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
