package sshsession_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func TestServerGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, link := connectPipe(t, func(srv *server) {
			srv.command = func(r *remote, _ string) int { <-r.ctx.Done(); return 0 }
		})
		go func() {
			synctest.Wait()
			link.Close()
		}()
		start := time.Now()
		status, err := c.Exec(t.Context(), "sleep", nil, nil, nil, nil)
		if status != sshsession.ExitFailed || !errors.Is(err, sshsession.ErrLostLink) || time.Since(start) > 0 {
			t.Errorf("status %d, error %v after %v; want ErrLostLink at once", status, err, time.Since(start))
		}
		if _, err := c.Exec(t.Context(), "again", nil, nil, nil, nil); !errors.Is(err, sshsession.ErrLostLink) {
			t.Errorf("second command: %v", err)
		}
	})
}

// TestKeepAlive freezes the link at some time, and measures when that is noticed.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, link := connectPipe(t, func(srv *server) {
			srv.command = func(r *remote, _ string) int { <-r.ctx.Done(); return 0 }
		})
		start := time.Now()
		go func() {
			time.Sleep(10 * time.Minute) // idle, and alive
			if err := c.Err(); err != nil {
				t.Errorf("an idle link that works: %v", err)
			}
			link.freeze()
		}()
		status, err := c.Exec(t.Context(), "sleep", nil, nil, nil, nil)
		took := time.Since(start) - 10*time.Minute
		if status != sshsession.ExitFailed || !errors.Is(err, sshsession.ErrLostLink) || took < 45*time.Second || took > 61*time.Second {
			t.Errorf("status %d, error %v, %v after the freeze; want ErrLostLink after 45 s to a minute", status, err, took)
		}
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// TestDataCountsAsLife has a server that sends, but is too busy to answer for minutes.
func TestDataCountsAsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, link := connectPipe(t, func(srv *server) {
			srv.command = func(r *remote, _ string) int {
				for range 40 {
					time.Sleep(10 * time.Second)
					_, _ = r.Write([]byte("."))
				}
				return 0
			}
		})
		go func() {
			synctest.Wait()
			link.deafen()
		}()
		var out bytes.Buffer
		if status, err := c.Exec(t.Context(), "busy", nil, &out, nil, nil); status != 0 || err != nil || out.Len() != 40 {
			t.Errorf("status %d, error %v, %d bytes", status, err, out.Len())
		}
	})
}

// TestDeafServer opens a session on a server that never answers.
func TestDeafServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connectPipe(t, func(srv *server) { srv.deaf = true })
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if status, err := c.Exec(ctx, "x", nil, nil, nil, nil); status != sshsession.ExitFailed || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("status %d, error %v", status, err)
		}
		if _, err := c.ServerView(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("server's view: %v", err)
		}
		if c.Err() != nil {
			t.Errorf("the connection broke: %v", c.Err())
		}
	})
}

func TestServerView(t *testing.T) {
	tests := []struct {
		name, answer, want string
	}{
		{"IPv4", "198.51.100.7 50022 10.0.0.5 22\n", "198.51.100.7"},
		{"IPv6", "2001:db8::7 50022 2001:db8::1 22\n", "2001:db8::7"},
		{"mapped", "::ffff:198.51.100.7 50022 ::ffff:10.0.0.5 22\n", "198.51.100.7"},
		{"zone", "fe80::1%eth0 50022 fe80::2%eth0 22\n", "fe80::1"},
		{"empty", "\n", ""},
		{"words", "this account is not\x1b[2J available", ""},
		{"no address", "198.51.100.777 50022 10.0.0.5 22\n", ""},
		{"endless", strings.Repeat("198.51.100.7 ", 10000), ""},
		{"behind a flood", strings.Repeat(" ", 1<<17) + "198.51.100.7 50022 10.0.0.5 22\n", ""},
		{"fails", "!", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := connectPipe(t, func(srv *server) {
					srv.command = func(r *remote, line string) int {
						if line != "echo $SSH_CONNECTION" {
							t.Errorf("command %q", line)
						}
						_, _ = r.Write([]byte(tt.answer))
						if tt.answer == "!" {
							return 1
						}
						return 0
					}
				})
				start := time.Now()
				got, err := c.ServerView(t.Context())
				if (err != nil) != (tt.want == "") || err == nil && got.String() != tt.want {
					t.Errorf("%v, error %v; want %q", got, err, tt.want)
				}
				if err != nil && (len(err.Error()) > 3000 || strings.ContainsRune(err.Error(), '\x1b')) {
					t.Errorf("error %q", err)
				}
				if time.Since(start) > 0 {
					t.Errorf("took %v", time.Since(start))
				}
			})
		})
	}
}

// TestServerViewBesideASession asks for the server's view while a command runs.
func TestServerViewBesideASession(t *testing.T) {
	running, finish := make(chan bool), make(chan bool)
	c := connect(t, func(srv *server) {
		srv.command = func(r *remote, line string) int {
			if line == "long" {
				close(running)
				<-finish
				return 5
			}
			_, _ = r.Write([]byte("192.0.2.9 1 192.0.2.1 22\n"))
			return 0
		}
	})
	ended := make(chan int)
	go func() {
		status, _ := c.Exec(t.Context(), "long", nil, nil, nil, nil)
		ended <- status
	}()
	<-running
	if got, err := c.ViewBeside(t.Context()); err != nil || got.String() != "192.0.2.9" {
		t.Errorf("%v, %v", got, err)
	}
	close(finish)
	if status := <-ended; status != 5 {
		t.Errorf("the command beside it ended with %d", status)
	}
}

// TestViewBesideComesSecond has the user's session come first: a server may allow only one.
func TestViewBesideComesSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		c, _ := connectPipe(t, func(srv *server) {
			srv.command = func(r *remote, line string) int {
				lines = append(lines, line)
				_, _ = r.Write([]byte("192.0.2.9 1 192.0.2.1 22\n"))
				return 0
			}
		})
		seen := make(chan error, 1)
		go func() {
			_, err := c.ViewBeside(t.Context())
			seen <- err
		}()
		synctest.Wait()
		if len(lines) > 0 {
			t.Errorf("asked before there was a session: %q", lines)
		}
		if status, err := c.Exec(t.Context(), "true", nil, nil, nil, nil); status != 0 || err != nil {
			t.Errorf("status %d, error %v", status, err)
		}
		if err := <-seen; err != nil || len(lines) != 2 || lines[0] != "true" {
			t.Errorf("ran %q, error %v", lines, err)
		}
	})
}
