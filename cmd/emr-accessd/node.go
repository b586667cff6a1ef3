package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/config"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/spf13/cobra"
)

// nodeChoice is what --node names. The zero value is the primary node; of several the oldest one, which stays the same
// for as long as it lives.
type nodeChoice struct {
	role     string // primary, core or task; "" is primary
	numbered bool
	index    int    // the oldest node of a role is 0
	instance string // in place of a number
}

// registerNode adds --node to a command that is about one node of a cluster.
func registerNode(cmd *cobra.Command, node *string) {
	cmd.Flags().StringVar(node, "node", "", "which `node`: core:0, task:2, primary:1, or core:i-0123… (default: the primary node)")
}

// nodeWords are what the shell completes for --node.
var nodeWords = []string{"primary:0", "primary:1", "core:0", "core:1", "task:0", "task:1"}

var instanceForm = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)

// maxNode is the highest number of a node that can be meant: EMR's limit is 4000 nodes a cluster.
const maxNode = 9999

// parseNode reads --node: "core:0", "task:i-0abc…", "i-0abc…" or a role alone. EMR's former words, master and slave,
// are accepted too.
func parseNode(s string) (nodeChoice, error) {
	bad := usageError{fmt.Errorf("--node %.60q: want a role and a number or an instance, such as core:0 or task:i-0123456789abcdef0", s), ""}
	if s == "" {
		return nodeChoice{}, nil
	}
	if instanceForm.MatchString(s) {
		return nodeChoice{instance: s}, nil
	}
	role, which, found := strings.Cut(strings.ToLower(s), ":")
	role = config.NodeType(role)
	if !slices.Contains(roles, role) {
		return nodeChoice{}, bad
	}
	c := nodeChoice{role: role}
	switch {
	case !found:
		return c, nil
	case instanceForm.MatchString(which):
		c.instance = which
		return c, nil
	}
	n, err := strconv.ParseUint(which, 10, 32)
	if err != nil || n > maxNode || which != strconv.FormatUint(n, 10) {
		return nodeChoice{}, bad
	}
	c.numbered, c.index = true, int(n)
	return c, nil
}

// String is the choice as --node takes it; "" for the primary node that is taken when none is named.
func (c nodeChoice) String() string {
	switch {
	case c.instance != "" && c.role != "":
		return c.role + ":" + c.instance
	case c.numbered:
		return fmt.Sprintf("%s:%d", c.role, c.index)
	}
	return cmp.Or(c.instance, c.role)
}

// flag is the choice as a flag, with a blank before it; "" for none.
func (c nodeChoice) flag() string {
	if c == (nodeChoice{}) {
		return ""
	}
	return " --node " + c.String()
}

// wants is the role whose groups must admit this computer.
func (c nodeChoice) wants() string {
	if c.role == "" {
		return awsclient.RolePrimary
	}
	return c.role
}

// suffix tells the node apart from the cluster's other ones, in the name under which ssh knows its host key: "" for the
// primary node, else "-core-0" or "-i-0abc…".
func (c nodeChoice) suffix() string {
	switch {
	case c.instance != "":
		return "-" + c.instance
	case c.numbered:
		return fmt.Sprintf("-%s-%d", c.wants(), c.index)
	case c.wants() != awsclient.RolePrimary:
		return "-" + c.role
	}
	return ""
}

// pick finds the node among those of a place, which are in the order of their age within each role.
func (c nodeChoice) pick(place keeper.Place) (keeper.Node, error) {
	var nodes []keeper.Node
	for _, n := range place.Nodes {
		if c.instance != "" && c.instance == n.Instance && (c.role == "" || c.role == n.Role) {
			return n, nil
		}
		if n.Role == c.wants() {
			nodes = append(nodes, n)
		}
	}
	cluster := place.Cluster
	listed := hinted{code: exitUsage, hint: "name one of them: " + listNodes(nodes)}
	switch {
	case len(nodes) == 0 && c.wants() == awsclient.RolePrimary:
		return keeper.Node{}, nil // the caller knows why
	case len(nodes) == 0:
		return keeper.Node{}, hinted{fmt.Errorf("%s has no running %s node", cluster, c.role), exitUsage, "`emr-accessd clusters` shows what it has"}
	case c.instance != "" && c.role == "":
		listed.error, listed.hint = fmt.Errorf("%s has no primary node %s", cluster, c.instance), "for a core or task node give the role too: --node core:"+c.instance
		return keeper.Node{}, listed
	case c.instance != "":
		listed.error = fmt.Errorf("%s has no %s node %s", cluster, c.role, c.instance)
		return keeper.Node{}, listed
	case c.index >= len(nodes):
		listed.error = fmt.Errorf("%s has no node %s:%d", cluster, c.wants(), c.index)
		return keeper.Node{}, listed
	case !c.numbered && len(nodes) > 1 && c.wants() != awsclient.RolePrimary:
		listed.error = fmt.Errorf("%s has %d %s nodes", cluster, len(nodes), c.role)
		return keeper.Node{}, listed
	}
	return nodes[c.index], nil
}

// maxListed is how many nodes an error names: a cluster may have thousands.
const maxListed = 8

// listNodes names nodes of one role as --node does, with where they are.
func listNodes(nodes []keeper.Node) string {
	var parts []string
	for i, n := range nodes[:min(len(nodes), maxListed)] {
		at := ""
		for _, a := range []interface {
			IsValid() bool
			String() string
		}{n.Public4, n.Private4, n.V6} {
			if a.IsValid() {
				at = ", " + a.String()
				break
			}
		}
		parts = append(parts, fmt.Sprintf("%s:%d (%s%s)", n.Role, i, n.Instance, at))
	}
	if more := len(nodes) - maxListed; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// nodeAddress chooses the node and the address to dial.
func nodeAddress(t keeper.TargetReport, target keeper.Target, which nodeChoice, host string) (keeper.Node, string, error) {
	node, err := which.pick(t.Place)
	if err != nil {
		return node, "", err
	}
	port := strconv.Itoa(target.Port)
	if host != "" {
		if h, p, err := net.SplitHostPort(host); err == nil {
			host, port = h, cmp.Or(p, port)
		} else {
			host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]") // of an IPv6 address without a port
		}
		return node, net.JoinHostPort(host, port), nil
	}
	if node.Instance == "" {
		if t.Place.Cluster == "" {
			return node, "", hinted{errors.New("a security group has no node to connect to"), exitUsage, "name the cluster (j-…)"}
		}
		return node, "", hinted{fmt.Errorf("%s has no running primary node yet (%s)", t.Place.Cluster, strings.ToLower(t.Place.State)), exitFailed, waitHint}
	}
	v4, v6 := node.Public4, node.V6
	if target.Local {
		v4 = node.Private4
	}
	confirmed := func(f ipwatch.Family) bool { return t.Verdicts[f.String()].State == string(ipwatch.Confirmed) }
	switch {
	case v4.IsValid() && (confirmed(ipwatch.V4) || !v6.IsValid() || !confirmed(ipwatch.V6)):
		return node, net.JoinHostPort(v4.String(), port), nil
	case v6.IsValid():
		return node, net.JoinHostPort(v6.String(), port), nil
	}
	return node, "", keeper.ErrPrivate
}
