package demo

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// apiTimeout bounds one question to the simulated AWS, which is on the same computer.
	apiTimeout = 5 * time.Second
	// maxAnswer is far more than a page of rules has, in bytes.
	maxAnswer = 4 << 20
	// maxPages bounds how long an answer may go on; a group has at most a few hundred rules.
	maxPages = 50
)

// api reads security group rules over EC2's Query protocol. It is written for the demo alone and shares nothing with
// the program's own AWS client, so that a mistake there cannot hide itself here.
type api struct {
	endpoint string // http://127.0.0.1:…
	region   string
	key      string // access key; tells its calls apart in the log
	client   *http.Client
}

func newAPI(endpoint, region, key string) *api {
	return &api{endpoint: endpoint, region: region, key: key, client: &http.Client{
		Timeout:   apiTimeout,
		Transport: &http.Transport{Proxy: nil, MaxIdleConns: 4, IdleConnTimeout: time.Minute},
	}}
}

func (a *api) close() { a.client.CloseIdleConnections() }

// rules returns all rules of the groups, of both directions, in EC2's order. It fails rather than to return a part.
func (a *api) rules(ctx context.Context, groups ...string) ([]Rule, error) {
	query := url.Values{"Action": {"DescribeSecurityGroupRules"}, "Version": {"2016-11-15"}, "Filter.1.Name": {"group-id"}, "MaxResults": {"1000"}}
	for i, g := range groups {
		query.Set("Filter.1.Value."+strconv.Itoa(i+1), g)
	}
	var all []Rule
	for range maxPages {
		body, err := a.post(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("read the rules of %s: %w", strings.Join(groups, " and "), err)
		}
		rules, next, err := parseRules(body)
		if err != nil {
			return nil, fmt.Errorf("read the rules of %s: %w", strings.Join(groups, " and "), err)
		}
		all = append(all, rules...)
		if next == "" {
			return all, nil
		}
		query.Set("NextToken", next)
	}
	return nil, fmt.Errorf("read the rules of %s: more than %d pages", strings.Join(groups, " and "), maxPages)
}

func (a *api) post(ctx context.Context, query url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint, strings.NewReader(query.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	// The form of Signature Version 4. The simulated AWS reads the access key and checks no signature.
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/ec2/aws4_request, SignedHeaders=host, Signature=none",
		a.key, time.Now().UTC().Format("20060102"), a.region))
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d, code %q", resp.StatusCode, parseCode(body))
	}
	return body, nil
}

// parseCode finds the error code in EC2's error document.
func parseCode(body []byte) string {
	var doc struct {
		Code string `xml:"Errors>Error>Code"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		return ""
	}
	return doc.Code
}

// parseRules reads an answer of DescribeSecurityGroupRules. A rule that cannot be understood spoils the whole answer:
// a gate must not decide on a part of the rules.
func parseRules(body []byte) (rules []Rule, next string, err error) {
	var doc struct {
		XMLName xml.Name `xml:"DescribeSecurityGroupRulesResponse"`
		Items   []struct {
			ID         string `xml:"securityGroupRuleId"`
			Group      string `xml:"groupId"`
			Egress     *bool  `xml:"isEgress"`
			Protocol   string `xml:"ipProtocol"`
			From       *int   `xml:"fromPort"`
			To         *int   `xml:"toPort"`
			IPv4       string `xml:"cidrIpv4"`
			IPv6       string `xml:"cidrIpv6"`
			PrefixList string `xml:"prefixListId"`
			Referenced string `xml:"referencedGroupInfo>groupId"`
			Text       string `xml:"description"`
			Tags       []struct {
				Key   string `xml:"key"`
				Value string `xml:"value"`
			} `xml:"tagSet>item"`
		} `xml:"securityGroupRuleSet>item"`
		Next string `xml:"nextToken"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		return nil, "", fmt.Errorf("the answer is no list of rules: %w", err)
	}
	for _, it := range doc.Items {
		r := Rule{ID: it.ID, Group: it.Group, Protocol: it.Protocol, FromPort: -1, ToPort: -1,
			SourceGroup: it.Referenced, PrefixList: it.PrefixList, Description: it.Text}
		if it.ID == "" || it.Group == "" || it.Protocol == "" || it.Egress == nil {
			return nil, "", fmt.Errorf("a rule without id, group, protocol or direction (%q)", it.ID)
		}
		r.Egress = *it.Egress
		if it.From != nil && it.To != nil {
			r.FromPort, r.ToPort = *it.From, *it.To
		}
		sources := 0
		for _, s := range []string{it.IPv4, it.IPv6, it.PrefixList, it.Referenced} {
			if s != "" {
				sources++
			}
		}
		if sources != 1 {
			return nil, "", fmt.Errorf("rule %q has %d sources", it.ID, sources)
		}
		if cidr := it.IPv4 + it.IPv6; cidr != "" {
			if r.CIDR, err = netip.ParsePrefix(cidr); err != nil || r.CIDR != r.CIDR.Masked() || r.CIDR.Addr().Is4() != (it.IPv4 != "") {
				return nil, "", fmt.Errorf("rule %q has the source %q", it.ID, cidr)
			}
		}
		if len(it.Tags) > 0 {
			r.Tags = make(map[string]string, len(it.Tags))
			for _, tag := range it.Tags {
				r.Tags[tag.Key] = tag.Value
			}
		}
		rules = append(rules, r)
	}
	return rules, doc.Next, nil
}
