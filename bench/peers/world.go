package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// world is the simulated AWS with a cluster for each, and what tells the address.
type world struct {
	dir          string
	sim          *awssim.Sim
	aws          *httptest.Server
	echo         *httptest.Server // the script's only source
	closers      []func()
	now          atomic.Pointer[string]
	ours, theirs string // security groups
}

func newWorld(dir string) (*world, error) {
	w := &world{dir: dir, sim: awssim.New(awssim.Options{Region: "eu-west-1"})}
	vpc := w.sim.AddVPC(false)
	cluster := ""
	for i, group := range []*string{&w.ours, &w.theirs} {
		*group = w.sim.AddGroup(vpc, fmt.Sprintf("ElasticMapReduce-master-%d", i), "Master group for Elastic MapReduce")
		w.sim.AddRule(*group, awssim.RuleSpec{FromPort: 8443, ToPort: 8443, CIDR: "207.171.167.25/32"})
		id := w.sim.AddCluster(awssim.ClusterSpec{Name: "etl", MasterGroup: *group, CoreGroup: *group, Nodes: []awssim.NodeSpec{{PublicIP: "127.0.0.1"}}})
		if i == 0 {
			cluster = id
		}
	}
	w.aws = httptest.NewServer(w.sim)
	tell := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintln(rw, *w.now.Load()) })
	w.echo = httptest.NewServer(tell)
	w.closers = append(w.closers, w.aws.Close, w.echo.Close)
	w.move(0)
	text := fmt.Sprintf("[[target]]\ncluster = %q\n[address]\naccept = [\"198.51.100.0/24\"]\negress-check = false\nipv6 = \"off\"\nstun = []\n", cluster)
	for _, op := range []string{"aws", "example"} {
		echo := httptest.NewTLSServer(tell)
		w.closers = append(w.closers, echo.Close)
		ca := filepath.Join(dir, op+".pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: echo.Certificate().Raw}), 0o600); err != nil {
			w.close()
			return nil, err
		}
		text += fmt.Sprintf("[[address.source]]\nurl = %q\noperator = %q\nca-file = %q\n", echo.URL+"/", op, ca)
	}
	text += "[rules]\nprobe = false\n[notify]\ndesktop = false\n"
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) close() {
	for _, c := range w.closers {
		c()
	}
}

// move gives the laptop its i-th address.
func (w *world) move(i int) {
	a := fmt.Sprintf("198.51.100.%d", 1+i%250)
	w.now.Store(&a)
}

func (w *world) address() string { return *w.now.Load() }

// admits lists the addresses that a group admits to port 22.
func (w *world) admits(group string) (all []string) {
	for _, r := range w.sim.Rules(group) {
		if r.FromPort == 22 {
			all = append(all, strings.TrimSuffix(r.CIDR, "/32"))
		}
	}
	return all
}

// writeScript writes what people run by cron. It is told its group, and believes one source.
func (w *world) writeScript(aws string) error {
	if strings.ContainsAny(aws, " '\"$`\\") {
		return fmt.Errorf("%q: want the path of a program without quotes and spaces", aws)
	}
	text := fmt.Sprintf(`set -e
group=%s
ip=$(curl -fsS %s)
old=$(%[3]s ec2 describe-security-group-rules --filters Name=group-id,Values=$group \
  --query "SecurityGroupRules[?Description=='my ssh'].CidrIpv4" --output text)
[ "$old" = "$ip/32" ] && exit 0
[ -z "$old" ] || %[3]s ec2 revoke-security-group-ingress --group-id $group --protocol tcp --port 22 --cidr "$old" >/dev/null
%[3]s ec2 authorize-security-group-ingress --group-id $group \
  --ip-permissions "IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=$ip/32,Description='my ssh'}]" >/dev/null
`, w.theirs, w.echo.URL, aws)
	return os.WriteFile(filepath.Join(w.dir, "script.sh"), []byte(text), 0o600)
}

// exec runs a job once.
func (w *world) exec(ctx context.Context, j *job) (sample, error) {
	w.sim.ResetCalls()
	cmd := exec.CommandContext(ctx, j.program[0], j.program[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "AWS_ENDPOINT_URL=" + w.aws.URL, "AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "EMR_ACCESSD_CONFIG=" + filepath.Join(w.dir, "config.toml"), "EMR_ACCESSD_STATE=" + filepath.Join(w.dir, "state"), "PYENV_ROOT=" + os.Getenv("PYENV_ROOT")}
	began := time.Now()
	text, err := cmd.CombinedOutput()
	wall := time.Since(began)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", j.name, err, text)
	}
	s := sampleOf(w.sim.Calls())
	s.wall, s.cpu = wall, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	return s, nil
}
