package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/emr-accessd/emr-accessd/internal/svcmgr"
)

// lingering has a file for each user whose services run without a log-in (systemd-logind).
const lingering = "/var/lib/systemd/linger"

// linger lets the services of this user run without a log-in. undo takes that back, unless it was so before.
func linger(ctx context.Context) (undo func(), err error) {
	name := invoker()
	if _, err := os.Stat(filepath.Join(lingering, name)); err == nil {
		return func() {}, nil
	}
	if _, err := svcmgr.Run(ctx, "loginctl", "enable-linger"); err != nil {
		return nil, hinted{fmt.Errorf("--linger: %w", err), exitFailed, "sudo loginctl enable-linger " + name + " && emr-accessd install"}
	}
	return func() { _, _ = svcmgr.Run(context.WithoutCancel(ctx), "loginctl", "disable-linger") }, nil
}
