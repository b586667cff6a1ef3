package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
)

// lingering has a file for each user whose services run without a log-in (systemd-logind).
const lingering = "/var/lib/systemd/linger"

// linger lets the services of this user run without a log-in. undo takes that back, unless it was so before.
func linger(ctx context.Context) (undo func(), err error) {
	name := invoker()
	undo, err = setLinger(ctx, name)
	if err != nil {
		return nil, hinted{err, exitFailed, "sudo loginctl enable-linger " + name + " && emr-accessd install"}
	}
	return undo, nil
}

// lingerFor is linger for another user, whose service manager runs when it returns.
func lingerFor(ctx context.Context, u *user.User) (undo func(), err error) {
	if undo, err = setLinger(ctx, u.Username, u.Username); err != nil {
		return nil, err
	}
	for range 100 { // it starts now
		if svcExists("/run/user/"+u.Uid+"/systemd/private") || ctx.Err() != nil {
			break
		}
		sleep(ctx, 100*time.Millisecond)
	}
	return undo, nil
}

// setLinger lets a user linger. loginctl means who runs it unless args name somebody.
func setLinger(ctx context.Context, name string, args ...string) (undo func(), err error) {
	if _, err := os.Stat(filepath.Join(lingering, name)); err == nil {
		return func() {}, nil
	}
	if _, err := svcmgr.Run(ctx, "loginctl", append([]string{"enable-linger"}, args...)...); err != nil {
		return nil, fmt.Errorf("--linger: %w", err)
	}
	return func() {
		_, _ = svcmgr.Run(context.WithoutCancel(ctx), "loginctl", append([]string{"disable-linger"}, args...)...)
	}, nil
}
