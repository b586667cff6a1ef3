package awssim

import "slices"

type instanceJSON struct {
	ID               string `json:"Id"`
	Ec2InstanceID    string `json:"Ec2InstanceId,omitempty"`
	PublicDNSName    string `json:"PublicDnsName"`
	PublicIPAddress  string `json:"PublicIpAddress,omitempty"`
	PrivateDNSName   string `json:"PrivateDnsName"`
	PrivateIPAddress string `json:"PrivateIpAddress"`
	Status           statusJSON
	InstanceGroupID  string `json:"InstanceGroupId,omitempty"`
	InstanceFleetID  string `json:"InstanceFleetId,omitempty"`
	Market           string
	InstanceType     string
}

// collectionID is the id of the instance group or fleet of a role.
func collectionID(c *cluster, role string) string {
	prefix := "ig-"
	if c.Fleets {
		prefix = "if-"
	}
	return prefix + role + c.ID[2:min(len(c.ID), 10)]
}

// errFleets is what EMR says when a cluster of fleets is asked for groups or the other way round.
func errFleets(operation string, fleets bool) error {
	has, not := "instance groups", "instance fleets"
	if fleets {
		has, not = not, has
	}
	return invalidRequest("", "Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses "+
		has+". The "+operation+" request does not support clusters that use "+not+".")
}

// listInstances is ListInstances.
func (s *Sim) listInstances(rq *request) (func() (any, error), error) {
	var in struct {
		ClusterID          string
		InstanceGroupID    string
		InstanceGroupTypes []string
		InstanceFleetID    string
		InstanceFleetType  string
		InstanceStates     []string
		Marker             string
	}
	if err := decode(rq, &in); err != nil {
		return nil, err
	}
	c, err := s.clusterByID(in.ClusterID)
	if err != nil {
		return nil, err
	}
	for _, role := range append(slices.Clone(in.InstanceGroupTypes), in.InstanceFleetType) {
		if role != "" && !slices.Contains([]string{"MASTER", "CORE", "TASK"}, role) {
			return nil, fail("ValidationException", "'%s' is no role of instances", role)
		}
	}
	byGroup := in.InstanceGroupID != "" || len(in.InstanceGroupTypes) > 0
	byFleet := in.InstanceFleetID != "" || in.InstanceFleetType != ""
	if c.Fleets && byGroup || !c.Fleets && byFleet {
		return nil, errFleets("ListInstances", c.Fleets)
	}
	wanted := func(n *Node) bool {
		id := collectionID(c, n.Role)
		return (len(in.InstanceGroupTypes) == 0 || slices.Contains(in.InstanceGroupTypes, n.Role)) &&
			(in.InstanceFleetType == "" || in.InstanceFleetType == n.Role) &&
			(in.InstanceGroupID == "" || in.InstanceGroupID == id) && (in.InstanceFleetID == "" || in.InstanceFleetID == id) &&
			(len(in.InstanceStates) == 0 || slices.Contains(in.InstanceStates, n.State))
	}
	return func() (any, error) {
		out := struct {
			Instances []instanceJSON
			Marker    string `json:",omitempty"`
		}{Instances: []instanceJSON{}}
		var all []instanceJSON
		for _, id := range c.nodes {
			if n := s.nodes[id]; wanted(n) {
				all = append(all, s.instanceJSON(c, n))
			}
		}
		part, marker, err := emrCut(all, in.Marker, func(i instanceJSON) string { return i.ID })
		out.Instances, out.Marker = append(out.Instances, part...), marker
		return out, err
	}, nil
}

func (s *Sim) instanceJSON(c *cluster, n *Node) instanceJSON {
	x := instanceJSON{
		ID: n.emrID, PublicDNSName: s.publicDNS(n), PublicIPAddress: n.PublicIP,
		PrivateDNSName: s.privateDNS(n), PrivateIPAddress: n.PrivateIP,
		Status: statusJSON{State: n.State, StateChangeReason: map[string]string{}, Timeline: timelineJSON{CreationDateTime: epochOf(n.launched)}},
		Market: "ON_DEMAND", InstanceType: "m5.xlarge",
	}
	if n.State != "AWAITING_FULFILLMENT" {
		x.Ec2InstanceID = n.InstanceID
	}
	if c.Fleets {
		x.InstanceFleetID = collectionID(c, n.Role)
	} else {
		x.InstanceGroupID = collectionID(c, n.Role)
	}
	return x
}

// collection is an instance group or fleet with its live instances.
type collection struct {
	role string
	live int
}

// collections returns a cluster's groups or fleets, the master's first.
func (s *Sim) collections(c *cluster) []collection {
	var out []collection
	for _, role := range []string{"MASTER", "CORE", "TASK"} {
		found, live := false, 0
		for _, id := range c.nodes {
			if n := s.nodes[id]; n.Role == role {
				found = true
				if n.live() {
					live++
				}
			}
		}
		if found {
			out = append(out, collection{role, live})
		}
	}
	return out
}

// listInstanceGroups is ListInstanceGroups.
func (s *Sim) listInstanceGroups(rq *request) (func() (any, error), error) {
	c, err := s.readCluster(rq)
	if err != nil {
		return nil, err
	}
	if c.Fleets {
		return nil, errFleets("ListInstanceGroups", true)
	}
	return func() (any, error) {
		out := []map[string]any{}
		for _, g := range s.collections(c) {
			out = append(out, map[string]any{
				"Id": collectionID(c, g.role), "Name": g.role, "Market": "ON_DEMAND", "InstanceGroupType": g.role, "InstanceType": "m5.xlarge",
				"RequestedInstanceCount": g.live, "RunningInstanceCount": g.live, "Status": map[string]any{"State": "RUNNING"},
			})
		}
		return map[string]any{"InstanceGroups": out}, nil
	}, nil
}

// listInstanceFleets is ListInstanceFleets.
func (s *Sim) listInstanceFleets(rq *request) (func() (any, error), error) {
	c, err := s.readCluster(rq)
	if err != nil {
		return nil, err
	}
	if !c.Fleets {
		return nil, errFleets("ListInstanceFleets", false)
	}
	return func() (any, error) {
		out := []map[string]any{}
		for _, g := range s.collections(c) {
			out = append(out, map[string]any{
				"Id": collectionID(c, g.role), "Name": g.role, "InstanceFleetType": g.role, "Status": map[string]any{"State": "RUNNING"},
				"TargetOnDemandCapacity": g.live, "ProvisionedOnDemandCapacity": g.live,
			})
		}
		return map[string]any{"InstanceFleets": out}, nil
	}, nil
}
