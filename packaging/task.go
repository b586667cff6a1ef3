package packaging

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
)

// TaskParams is what differs between two logon tasks.
type TaskParams struct {
	Executable string   // absolute, C:\…
	Args       []string // [FileArgs] when nil
	SID        string   // of the user: S-1-5-21-…
}

var (
	windowsPath = regexp.MustCompile(`^[A-Za-z]:\\[^"<>|?*/]+$`)
	sid         = regexp.MustCompile(`^S-1-[0-9]{1,15}(-[0-9]{1,10}){1,15}$`)
)

// LogonTask renders the XML of a task that Windows starts when the user logs on, in the user's own session and with no
// more rights than the user has there (the Task Scheduler schema 1.2, MS-TSCH 2.5). What it cannot hold is an error.
func LogonTask(p TaskParams) (string, error) {
	if p.Args == nil {
		p.Args = FileArgs()
	}
	if !windowsPath.MatchString(p.Executable) || plain(p.Executable) != nil {
		return "", fmt.Errorf("executable %q: not the absolute path of a file", p.Executable)
	}
	if !sid.MatchString(p.SID) {
		return "", fmt.Errorf("user %q: not a security identifier, S-1-…", p.SID)
	}
	var args []string
	for _, arg := range p.Args {
		if err := plain(arg); err != nil {
			return "", fmt.Errorf("argument %q: %w", arg, err)
		}
		if strings.Contains(arg, "$(") {
			return "", errors.New("argument: the Task Scheduler would take $( for a variable")
		}
		args = append(args, windowsArg(arg))
	}
	return fmt.Sprintf(logonTask, p.SID, escape(p.Executable), escape(strings.Join(args, " "))), nil
}

// UTF16 is the encoding that schtasks takes for certain: little endian, with a byte order mark.
func UTF16(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

// windowsArg quotes a word as CommandLineToArgvW takes it apart: a backslash is special before a quote alone.
func windowsArg(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\"") {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1))
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteByte(s[i])
	}
	b.WriteString(strings.Repeat(`\`, slashes))
	b.WriteByte('"')
	return b.String()
}

// logonTask has left out: the user (for the trigger and the principal), the program and its arguments. The order of
// the elements is the schema's.
const logonTask = `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Keep SSH to Amazon EMR open for the current address (emr-accessd uninstall removes it)</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>%[1]s</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>%[1]s</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <IdleSettings>
      <StopOnIdleEnd>false</StopOnIdleEnd>
      <RestartOnIdle>false</RestartOnIdle>
    </IdleSettings>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>%[2]s</Command>
      <Arguments>%[3]s</Arguments>
    </Exec>
  </Actions>
</Task>
`
