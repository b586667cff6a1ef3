package awssim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// emrPage is how many clusters or instances one answer has (ListClusters: 50, ListInstances: AWS documents
// none; a client must follow the marker anyway).
const emrPage = 50

var _ json.Marshaler = epoch{}

// epoch is a time in EMR's JSON: seconds since 1970 with a fraction.
type epoch struct{ time.Time }

// MarshalJSON implements [json.Marshaler].
func (e epoch) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(e.UnixMilli()) / 1000)
}

func epochOf(t time.Time) *epoch {
	if t.IsZero() {
		return nil
	}
	return &epoch{t}
}

type timelineJSON struct {
	CreationDateTime *epoch `json:",omitempty"`
	ReadyDateTime    *epoch `json:",omitempty"`
	EndDateTime      *epoch `json:",omitempty"`
}

type statusJSON struct {
	State             string
	StateChangeReason map[string]string
	Timeline          timelineJSON
}

type clusterJSON struct {
	ID          string `json:"Id"`
	Name        string
	Status      statusJSON
	ClusterArn  string
	Normalized  int `json:"NormalizedInstanceHours"`
	*detailJSON     // in DescribeCluster only
}

type detailJSON struct {
	Ec2InstanceAttributes  attributesJSON
	InstanceCollectionType string
	ReleaseLabel           string
	AutoTerminate          bool
	TerminationProtected   bool
	VisibleToAllUsers      bool
	Applications           []map[string]string
	Tags                   []tagJSON
	ServiceRole            string
	MasterPublicDNSName    string `json:"MasterPublicDnsName,omitempty"`
}

type tagJSON struct{ Key, Value string }

type attributesJSON struct {
	Ec2KeyName                     string `json:",omitempty"`
	Ec2SubnetID                    string `json:"Ec2SubnetId"`
	Ec2AvailabilityZone            string
	IamInstanceProfile             string
	EmrManagedMasterSecurityGroup  string `json:",omitempty"`
	EmrManagedSlaveSecurityGroup   string `json:",omitempty"`
	ServiceAccessSecurityGroup     string `json:",omitempty"`
	AdditionalMasterSecurityGroups []string
	AdditionalSlaveSecurityGroups  []string
}

func invalidRequest(code, message string) error {
	return &apiError{code: "InvalidRequestException", message: message, detail: code}
}

// decode reads EMR's JSON; members that the operation does not have are ignored, as AWS JSON services do.
func decode(rq *request, v any) error {
	body := rq.json
	if len(body) == 0 {
		body = []byte("{}")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fail("SerializationException", "%v", err)
	}
	return nil
}

// clusterByID returns a cluster, or EMR's error, which it also gives for ids that are none.
func (s *Sim) clusterByID(id string) (*cluster, error) {
	c, ok := s.clusters[id]
	if !ok {
		return nil, invalidRequest("NoSuchCluster", "Cluster id '"+id+"' is not valid.")
	}
	return c, nil
}

// readCluster reads the cluster of the operations that take ClusterId and Marker only.
func (s *Sim) readCluster(rq *request) (*cluster, error) {
	var in struct{ ClusterID string }
	if err := decode(rq, &in); err != nil {
		return nil, err
	}
	return s.clusterByID(in.ClusterID)
}

func (s *Sim) clusterJSON(c *cluster) clusterJSON {
	status := statusJSON{State: c.State, StateChangeReason: map[string]string{}, Timeline: timelineJSON{CreationDateTime: epochOf(c.Created)}}
	if c.State == "RUNNING" || c.State == "WAITING" {
		status.Timeline.ReadyDateTime = epochOf(c.Created)
	}
	status.Timeline.EndDateTime = epochOf(c.ended)
	return clusterJSON{ID: c.ID, Name: c.Name, Status: status, ClusterArn: s.arn("elasticmapreduce", "cluster/"+c.ID)}
}

// describeCluster is DescribeCluster.
func (s *Sim) describeCluster(rq *request) (func() (any, error), error) {
	c, err := s.readCluster(rq)
	if err != nil {
		return nil, err
	}
	return func() (any, error) {
		out := s.clusterJSON(c)
		out.detailJSON = &detailJSON{
			Ec2InstanceAttributes: attributesJSON{
				Ec2KeyName: c.KeyName, Ec2SubnetID: c.Subnet, Ec2AvailabilityZone: s.subnets[c.Subnet].zone,
				IamInstanceProfile:             "EMR_EC2_DefaultRole",
				EmrManagedMasterSecurityGroup:  c.MasterGroup,
				EmrManagedSlaveSecurityGroup:   c.CoreGroup,
				ServiceAccessSecurityGroup:     c.ServiceGroup,
				AdditionalMasterSecurityGroups: append([]string{}, c.AdditionalMaster...),
				AdditionalSlaveSecurityGroups:  append([]string{}, c.AdditionalCore...),
			},
			InstanceCollectionType: "INSTANCE_GROUP", ReleaseLabel: c.Release, VisibleToAllUsers: true,
			Applications: []map[string]string{{"Name": "Spark"}}, Tags: []tagJSON{}, ServiceRole: "EMR_DefaultRole",
			MasterPublicDNSName: s.masterDNS(c),
		}
		if c.Fleets {
			out.InstanceCollectionType = "INSTANCE_FLEET"
		}
		for _, t := range tagsXML(c.Tags).Item {
			out.Tags = append(out.Tags, tagJSON(t))
		}
		return map[string]any{"Cluster": out}, nil
	}, nil
}

// masterDNS is MasterPublicDnsName: "If the cluster is on a private subnet, this is the private DNS name. On a
// public subnet, this is the public DNS name." (API_Cluster). There is none before a master has an address.
func (s *Sim) masterDNS(c *cluster) string {
	if c.MasterDNS != "" {
		return c.MasterDNS
	}
	last := ""
	for _, id := range c.nodes {
		n := s.nodes[id]
		if n.Role != "MASTER" || ec2State(n.State).Name == "pending" {
			continue
		}
		last = s.publicDNS(n)
		if last == "" {
			last = s.privateDNS(n)
		}
		if n.live() {
			return last
		}
	}
	return last
}

// listClusters is ListClusters: newest first, 50 a page.
func (s *Sim) listClusters(rq *request) (func() (any, error), error) {
	var in struct {
		CreatedAfter, CreatedBefore *float64
		ClusterStates               []string
		Marker                      string
	}
	if err := decode(rq, &in); err != nil {
		return nil, err
	}
	for _, state := range in.ClusterStates {
		if !slices.Contains([]string{"STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"}, state) {
			return nil, fail("ValidationException", "'%s' is no cluster state", state)
		}
	}
	return func() (any, error) {
		var all []*cluster
		for _, c := range s.clusters {
			created := float64(c.Created.UnixMilli()) / 1000
			if (len(in.ClusterStates) == 0 || slices.Contains(in.ClusterStates, c.State)) &&
				(in.CreatedAfter == nil || created >= *in.CreatedAfter) && (in.CreatedBefore == nil || created <= *in.CreatedBefore) {
				all = append(all, c)
			}
		}
		slices.SortFunc(all, func(a, b *cluster) int {
			if d := b.Created.Compare(a.Created); d != 0 {
				return d
			}
			return strings.Compare(a.ID, b.ID)
		})
		part, marker, err := emrCut(all, in.Marker, func(c *cluster) string { return c.ID })
		if err != nil {
			return nil, err
		}
		out := struct {
			Clusters []clusterJSON
			Marker   string `json:",omitempty"`
		}{Clusters: []clusterJSON{}, Marker: marker}
		for _, c := range part {
			out.Clusters = append(out.Clusters, s.clusterJSON(c))
		}
		return out, nil
	}, nil
}

// emrCut returns the page after the marker, which is the key of the last result that was shown.
func emrCut[T any](all []T, marker string, key func(T) string) ([]T, string, error) {
	if marker != "" {
		i := slices.IndexFunc(all, func(v T) bool { return key(v) == marker })
		if i < 0 {
			return nil, "", invalidRequest("", "Marker '"+marker+"' is not valid.")
		}
		all = all[i+1:]
	}
	if len(all) <= emrPage {
		return all, "", nil
	}
	return all[:emrPage], key(all[emrPage-1]), nil
}

// listBootstrapActions is ListBootstrapActions; there are none. The aws CLI asks for them in describe-cluster.
func (s *Sim) listBootstrapActions(rq *request) (func() (any, error), error) {
	if _, err := s.readCluster(rq); err != nil {
		return nil, err
	}
	return func() (any, error) {
		return map[string]any{"BootstrapActions": []string{}}, nil
	}, nil
}

// getPublicBlock is GetBlockPublicAccessConfiguration.
func (s *Sim) getPublicBlock(rq *request) (func() (any, error), error) {
	if err := decode(rq, &struct{}{}); err != nil {
		return nil, err
	}
	return func() (any, error) {
		type portRange struct{ MinRange, MaxRange int }
		ranges := []portRange{}
		for _, r := range s.publicBlock.ranges {
			ranges = append(ranges, portRange{r[0], r[1]})
		}
		return map[string]any{
			"BlockPublicAccessConfiguration": map[string]any{
				"BlockPublicSecurityGroupRules":          s.publicBlock.block,
				"PermittedPublicSecurityGroupRuleRanges": ranges,
			},
			"BlockPublicAccessConfigurationMetadata": map[string]any{
				"CreationDateTime": epochOf(rq.at), "CreatedByArn": "arn:aws:iam::" + s.opts.Account + ":root",
			},
		}, nil
	}, nil
}
