package notify

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// command shows messages by a program of the system. The program gets a fixed script; the texts reach it as arguments
// or in the environment, and never become a part of the script.
type command struct {
	make func(m Message) (path string, args, env []string)
	run  func(*exec.Cmd) error // for tests; nil runs it
}

// Show implements [Desktop].
func (c command) Show(ctx context.Context, m Message) error {
	path, args, env := c.make(m.plain())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second
	run := c.run
	if run == nil {
		run = func(cmd *exec.Cmd) error {
			out, err := cmd.CombinedOutput()
			if said := plainText(string(out), longestText); err != nil && said != "" {
				return fmt.Errorf("%w: %s", err, said)
			}
			return err
		}
	}
	if err := run(cmd); err != nil {
		return fmt.Errorf("%w: %w", ErrNoDesktop, err)
	}
	return nil
}

// osascript is macOS's way. The texts are the arguments of the script's run handler.
func osascript(m Message) (path string, args, env []string) {
	return "/usr/bin/osascript", []string{
		"-e", "on run argv",
		"-e", "display notification (item 2 of argv) with title (item 1 of argv)",
		"-e", "end run",
		"--", m.Title, m.Text,
	}, nil
}

// toast is Windows' way. The texts become text nodes of the toast's XML, read from the environment. A toast needs the
// name of an application with a shortcut in the start menu: PowerShell's own has one.
func toast(m Message) (path string, args, env []string) {
	root := cmp.Or(os.Getenv("SystemRoot"), `C:\Windows`)
	return root + `\System32\WindowsPowerShell\v1.0\powershell.exe`,
		[]string{"-NoLogo", "-NoProfile", "-NonInteractive", "-WindowStyle", "Hidden", "-Command", strings.Join(toastScript, "; ")},
		[]string{"EMR_ACCESSD_NOTIFY_TITLE=" + m.Title, "EMR_ACCESSD_NOTIFY_TEXT=" + m.Text}
}

var toastScript = []string{
	"$ErrorActionPreference = 'Stop'",
	"[void][Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]",
	"[void][Windows.Data.Xml.Dom.XmlDocument, Windows.Data.Xml.Dom.XmlDocument, ContentType = WindowsRuntime]",
	"$xml = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02)",
	"$nodes = $xml.GetElementsByTagName('text')",
	"[void]$nodes.Item(0).AppendChild($xml.CreateTextNode($env:EMR_ACCESSD_NOTIFY_TITLE))",
	"[void]$nodes.Item(1).AppendChild($xml.CreateTextNode($env:EMR_ACCESSD_NOTIFY_TEXT))",
	`$app = '{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\WindowsPowerShell\v1.0\powershell.exe'`,
	"[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier($app).Show([Windows.UI.Notifications.ToastNotification]::new($xml))",
}
