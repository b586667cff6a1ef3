//go:build unix

// Package cron has what would do the job otherwise: a script of the AWS CLI that cron runs.
package cron

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Script is such a script. It knows its security group, and believes one source.
type Script struct {
	AWS   string // the AWS CLI, see [FindAWS]
	Group string
	Echo  string // a URL that answers with the own address
}

// text is run by /bin/sh. What it needs beside its arguments (keys, endpoint, authorities) is in the environment.
const text = `set -e
aws=%[1]s
group=%[2]s
ip=$(curl -fsS %[3]s)
old=$($aws ec2 describe-security-group-rules --filters Name=group-id,Values=$group \
  --query "SecurityGroupRules[?Description=='my ssh'].CidrIpv4" --output text)
[ "$old" = "$ip/32" ] && exit 0
[ -z "$old" ] || $aws ec2 revoke-security-group-ingress --group-id $group --protocol tcp --port 22 --cidr "$old" >/dev/null
$aws ec2 authorize-security-group-ingress --group-id $group \
  --ip-permissions "IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=$ip/32,Description='my ssh'}]" >/dev/null
`

// Write writes the script to a file.
func (s Script) Write(file string) error {
	for _, word := range []string{s.AWS, s.Group, s.Echo} {
		if word == "" || strings.ContainsAny(word, " \t\n'\"$`\\&|;<>()*?[]#~") {
			return fmt.Errorf("%q: want a word that means nothing to a shell", word)
		}
	}
	return os.WriteFile(file, fmt.Appendf(nil, text, s.AWS, s.Group, s.Echo), 0o600)
}

// FindAWS finds the AWS CLI, and curl beside it. pyenv puts a script in the way that takes longer than many a call; then it is
// asked for the real one.
func FindAWS(name string) (string, error) {
	if _, err := exec.LookPath("curl"); err != nil {
		return "", fmt.Errorf("%w: the script of the AWS CLI needs it", err)
	}
	file, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w (pip install awscli, or name it with -aws)", err)
	}
	if filepath.Base(filepath.Dir(file)) != "shims" {
		return filepath.Abs(file)
	}
	out, err := exec.Command("pyenv", "which", filepath.Base(file)).Output()
	if err != nil {
		return "", errors.Join(fmt.Errorf("%s is a script that starts the real one; name that with -aws", file), err)
	}
	return strings.TrimSpace(string(out)), nil
}
