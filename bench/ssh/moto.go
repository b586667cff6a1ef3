//go:build unix

package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"
)

// moto is somebody else's simulation of AWS, with one cluster. Its nodes have addresses of strangers, which nobody here dials.
type moto struct {
	cmd      *exec.Cmd
	endpoint string
	cluster  string
}

const motoRegion = "us-east-1"

// motoStart is how long moto may take to answer.
const motoStart = time.Minute

func startMoto(ctx context.Context, dir string) (_ *moto, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	m := &moto{cmd: exec.CommandContext(ctx, "moto_server", "-H", "127.0.0.1", "-p", port), endpoint: "http://" + addr}
	m.cmd.Dir = dir // moto writes files
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("moto_server (pip install 'moto[server]'): %w", err)
	}
	defer func() {
		if err != nil {
			m.stop()
		}
	}()
	for deadline := time.Now().Add(motoStart); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(m.endpoint + "/moto-api/data.json")
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, errors.New("moto_server does not answer")
		}
	}
	return m, m.seed(ctx)
}

func (m *moto) stop() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
}

// seed makes a cluster with groups of its own. moto looks at the service in a request's signature, not at the signature itself.
func (m *moto) seed(ctx context.Context) error {
	var vpc, subnet, group string
	if err := m.ec2(ctx, &vpc, "vpcId", "Action", "CreateVpc", "CidrBlock", "10.20.0.0/16"); err != nil {
		return err
	}
	if err := m.ec2(ctx, &subnet, "subnetId", "Action", "CreateSubnet", "VpcId", vpc, "CidrBlock", "10.20.1.0/24"); err != nil {
		return err
	}
	if err := m.ec2(ctx, &group, "groupId", "Action", "CreateSecurityGroup", "GroupName", "ElasticMapReduce-master", "GroupDescription", "x", "VpcId", vpc); err != nil {
		return err
	}
	body := map[string]any{"Name": "nightly-etl", "ReleaseLabel": "emr-7.5.0", "ServiceRole": "EMR_DefaultRole", "JobFlowRole": "EMR_EC2_DefaultRole",
		"Instances": map[string]any{"Ec2SubnetId": subnet, "KeepJobFlowAliveWhenNoSteps": true, "EmrManagedMasterSecurityGroup": group, "EmrManagedSlaveSecurityGroup": group,
			"InstanceGroups": []any{map[string]any{"InstanceRole": "MASTER", "InstanceCount": 1, "InstanceType": "m5.xlarge", "Name": "primary"}}}}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	answer, err := m.call(ctx, "elasticmapreduce", "application/x-amz-json-1.1", string(text), "ElasticMapReduce.RunJobFlow")
	if err != nil {
		return err
	}
	var ran struct {
		Cluster string `json:"JobFlowId"`
	}
	if err := json.Unmarshal(answer, &ran); err != nil || ran.Cluster == "" {
		return fmt.Errorf("moto made no cluster: %s", answer)
	}
	m.cluster = ran.Cluster
	return nil
}

// ec2 calls EC2 and finds an element of the answer.
func (m *moto) ec2(ctx context.Context, to *string, element string, params ...string) error {
	form := url.Values{"Version": {"2016-11-15"}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	answer, err := m.call(ctx, "ec2", "application/x-www-form-urlencoded", form.Encode(), "")
	if err != nil {
		return err
	}
	d := xml.NewDecoder(strings.NewReader(string(answer)))
	for {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("moto's answer has no %s: %s", element, answer)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == element {
			return d.DecodeElement(to, &start)
		}
	}
}

func (m *moto) call(ctx context.Context, service, contentType, body, target string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.endpoint+"/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/"+motoRegion+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	if target != "" {
		req.Header.Set("X-Amz-Target", target)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("moto: %s: %s", resp.Status, answer)
	}
	return answer, err
}
