package awssim_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func stsCases() []contractCase {
	return []contractCase{
		{"sts/identity", "API_GetCallerIdentity", "", func(t *testing.T, w *world) {
			out, err := w.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			check(t, err)
			if len(aws.ToString(out.Account)) != 12 || aws.ToString(out.UserId) == "" || !strings.Contains(aws.ToString(out.Arn), ":"+*out.Account+":") {
				t.Errorf("identity is %v %v %v", aws.ToString(out.Account), aws.ToString(out.UserId), aws.ToString(out.Arn))
			}
		}},
		{"sts/assume role", "API_AssumeRole: the ARN and id of the assumed role carry the session name", "", func(t *testing.T, w *world) {
			out, err := w.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{
				RoleArn: aws.String("arn:aws:iam::123456789012:role/team/Operator"), RoleSessionName: aws.String("alice"),
			})
			check(t, err)
			if !out.Credentials.Expiration.After(time.Now()) {
				t.Errorf("credentials end at %v", out.Credentials.Expiration)
			}
			cfg := clientConfig(w.endpoint, *out.Credentials.AccessKeyId)
			who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			check(t, err)
			if !strings.HasSuffix(*who.Arn, "/alice") || !strings.Contains(*who.Arn, ":assumed-role/") || !strings.HasSuffix(*who.UserId, ":alice") {
				t.Errorf("the assumed identity is %s, %s", *who.Arn, *who.UserId)
			}
		}},
	}
}

func describe(t *testing.T, w *world, id string) *emrtypes.Cluster {
	t.Helper()
	out, err := w.emr.DescribeCluster(t.Context(), &emr.DescribeClusterInput{ClusterId: &id})
	check(t, err)
	return out.Cluster
}

func instances(t *testing.T, w *world, in *emr.ListInstancesInput) []emrtypes.Instance {
	t.Helper()
	in.ClusterId = &w.cluster
	out, err := w.emr.ListInstances(t.Context(), in)
	check(t, err)
	return out.Instances
}

func clusterIDs(t *testing.T, w *world, in *emr.ListClustersInput) []string {
	t.Helper()
	var ids []string
	for p := emr.NewListClustersPaginator(w.emr, in); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		check(t, err)
		for _, c := range page.Clusters {
			ids = append(ids, *c.Id)
		}
	}
	return ids
}

func emrCases() []contractCase {
	return slices.Concat(clusterCases(), emrInstanceCases())
}

func clusterCases() []contractCase {
	return []contractCase{
		{"emr/describe", "API_DescribeCluster, API_Cluster", "", func(t *testing.T, w *world) {
			c := describe(t, w, w.cluster)
			equal(t, "name", aws.ToString(c.Name), "nightly-etl")
			equal(t, "state", c.Status.State, emrtypes.ClusterStateWaiting)
			equal(t, "release", aws.ToString(c.ReleaseLabel), "emr-7.5.0")
			if c.Status.Timeline.CreationDateTime == nil || time.Since(*c.Status.Timeline.CreationDateTime).Abs() > time.Hour {
				t.Errorf("created at %v", c.Status.Timeline.CreationDateTime)
			}
			if !strings.HasSuffix(*c.ClusterArn, ":cluster/"+w.cluster) {
				t.Errorf("ARN is %s", *c.ClusterArn)
			}
		}},
		{"emr/groups", "API_Ec2InstanceAttributes", "", func(t *testing.T, w *world) {
			a := describe(t, w, w.cluster).Ec2InstanceAttributes
			equal(t, "master group", aws.ToString(a.EmrManagedMasterSecurityGroup), w.master)
			equal(t, "core group", aws.ToString(a.EmrManagedSlaveSecurityGroup), w.core)
			equal(t, "subnet", aws.ToString(a.Ec2SubnetId), w.subnet)
			equal(t, "key", aws.ToString(a.Ec2KeyName), "team")
			equal(t, "additional groups", strings.Join(a.AdditionalMasterSecurityGroups, " "), w.additional)
		}},
		{"emr/tags", "API_Cluster: Tags", "", func(t *testing.T, w *world) {
			tags := describe(t, w, w.cluster).Tags
			if len(tags) != 1 || *tags[0].Key != "team" || *tags[0].Value != "data" {
				t.Errorf("tags are %v", tags)
			}
		}},
		{"emr/master DNS name", "API_Cluster: MasterPublicDnsName", "", func(t *testing.T, w *world) {
			if name := aws.ToString(describe(t, w, w.cluster).MasterPublicDnsName); !strings.HasSuffix(name, ".amazonaws.com") {
				t.Errorf("name is %q", name)
			}
		}},
		{"emr/collection type", "API_Cluster: InstanceCollectionType", "it is empty", func(t *testing.T, w *world) {
			equal(t, "type", describe(t, w, w.cluster).InstanceCollectionType, emrtypes.InstanceCollectionTypeInstanceGroup)
		}},
		{"emr/unknown cluster", "azavea tf README, terraform data source: \"Cluster id 'j-…' is not valid.\"", "", func(t *testing.T, w *world) {
			_, err := w.emr.DescribeCluster(t.Context(), &emr.DescribeClusterInput{ClusterId: aws.String("j-2AAAAAAAAAAAA")})
			wantCode(t, err, "InvalidRequestException")
			if !strings.Contains(err.Error(), "Cluster id 'j-2AAAAAAAAAAAA' is not valid") {
				t.Errorf("the error is %v", err)
			}
		}},
		{"emr/unknown cluster has an ErrorCode", "SDK: InvalidRequestException.ErrorCode", "", func(t *testing.T, w *world) {
			_, err := w.emr.DescribeCluster(t.Context(), &emr.DescribeClusterInput{ClusterId: aws.String("j-2AAAAAAAAAAAA")})
			invalid, ok := errors.AsType[*emrtypes.InvalidRequestException](err)
			if !ok || aws.ToString(invalid.ErrorCode_) != "NoSuchCluster" {
				t.Errorf("the error is %v", err)
			}
		}},
		{"emr/terminated clusters stay describable", "EMR management guide, \"View cluster status\"", "", func(t *testing.T, w *world) {
			id := w.newCluster(t, w, "gone", 0)
			w.terminate(t, w, id)
			equal(t, "state", describe(t, w, id).Status.State, emrtypes.ClusterStateTerminated)
			if !slices.Contains(clusterIDs(t, w, &emr.ListClustersInput{ClusterStates: []emrtypes.ClusterState{"TERMINATED"}}), id) {
				t.Error("it is not listed as TERMINATED")
			}
			if slices.Contains(clusterIDs(t, w, &emr.ListClustersInput{ClusterStates: []emrtypes.ClusterState{"WAITING"}}), id) {
				t.Error("it is listed as WAITING")
			}
		}},
		{"emr/list by state", "API_ListClusters", "", func(t *testing.T, w *world) {
			in := &emr.ListClustersInput{ClusterStates: []emrtypes.ClusterState{"STARTING", "WAITING"}}
			if !slices.Contains(clusterIDs(t, w, in), w.cluster) {
				t.Error("the cluster is not listed")
			}
		}},
		{"emr/list by creation", "API_ListClusters: CreatedAfter, CreatedBefore", "", func(t *testing.T, w *world) {
			hourAgo, inAnHour := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
			if !slices.Contains(clusterIDs(t, w, &emr.ListClustersInput{CreatedAfter: &hourAgo, CreatedBefore: &inAnHour}), w.cluster) {
				t.Error("the cluster is not listed")
			}
			if ids := clusterIDs(t, w, &emr.ListClustersInput{CreatedAfter: &inAnHour}); len(ids) > 0 {
				t.Errorf("clusters of the future: %v", ids)
			}
		}},
		{"emr/list in pages of 50", "API_ListClusters: \"a maximum of 50 clusters per call\", Marker", "", func(t *testing.T, w *world) {
			var made []string
			for i := range 52 {
				made = append(made, w.newCluster(t, w, fmt.Sprintf("page-%d", i), 0))
			}
			first, err := w.emr.ListClusters(t.Context(), &emr.ListClustersInput{})
			check(t, err)
			if len(first.Clusters) != 50 || aws.ToString(first.Marker) == "" {
				t.Errorf("the first page has %d clusters, marker %q", len(first.Clusters), aws.ToString(first.Marker))
			}
			all := clusterIDs(t, w, &emr.ListClustersInput{})
			for _, id := range made {
				if !slices.Contains(all, id) {
					t.Errorf("%s is on no page", id)
				}
			}
			slices.Sort(all)
			if n := len(all); n != len(slices.Compact(all)) {
				t.Error("a cluster is listed twice")
			}
		}},
		{"emr/block public access", "API_BlockPublicAccessConfiguration: port 22 is the default exception", "{} before any Put", func(t *testing.T, w *world) {
			out, err := w.emr.GetBlockPublicAccessConfiguration(t.Context(), &emr.GetBlockPublicAccessConfigurationInput{})
			check(t, err)
			c := out.BlockPublicAccessConfiguration
			if !aws.ToBool(c.BlockPublicSecurityGroupRules) || len(c.PermittedPublicSecurityGroupRuleRanges) != 1 {
				t.Fatalf("configuration is %+v", c)
			}
			equal(t, "exception", *c.PermittedPublicSecurityGroupRuleRanges[0].MinRange, 22)
		}},
	}
}

func emrInstanceCases() []contractCase {
	return []contractCase{
		{"emr/instances of the master group", "API_ListInstances, API_Instance", "", func(t *testing.T, w *world) {
			list := instances(t, w, &emr.ListInstancesInput{InstanceGroupTypes: []emrtypes.InstanceGroupType{"MASTER"}})
			if len(list) != 1 {
				t.Fatalf("there are %d masters", len(list))
			}
			i := list[0]
			if !strings.HasPrefix(aws.ToString(i.Ec2InstanceId), "i-") || aws.ToString(i.PublicIpAddress) == "" ||
				aws.ToString(i.PrivateIpAddress) == "" || aws.ToString(i.PublicDnsName) == "" || aws.ToString(i.InstanceGroupId) == "" {
				t.Errorf("the master is %+v", i)
			}
			equal(t, "state", i.Status.State, emrtypes.InstanceStateRunning)
		}},
		{"emr/instances of the core group", "API_ListInstances", "", func(t *testing.T, w *world) {
			list := instances(t, w, &emr.ListInstancesInput{InstanceGroupTypes: []emrtypes.InstanceGroupType{"CORE"}})
			equal(t, "number", len(list), 2)
		}},
		{"emr/all instances", "API_ListInstances", "", func(t *testing.T, w *world) {
			equal(t, "number", len(instances(t, w, &emr.ListInstancesInput{})), 3)
		}},
		{"emr/instances by state", "API_ListInstances: InstanceStates", "InstanceStates is ignored", func(t *testing.T, w *world) {
			equal(t, "running", len(instances(t, w, &emr.ListInstancesInput{InstanceStates: []emrtypes.InstanceState{"RUNNING"}})), 3)
			equal(t, "terminated", len(instances(t, w, &emr.ListInstancesInput{InstanceStates: []emrtypes.InstanceState{"TERMINATED"}})), 0)
		}},
		{"emr/instances of an unknown cluster", "API_ListInstances: InvalidRequestException", "HTTP 500 with HTML", func(t *testing.T, w *world) {
			_, err := w.emr.ListInstances(t.Context(), &emr.ListInstancesInput{ClusterId: aws.String("j-2AAAAAAAAAAAA")})
			wantCode(t, err, "InvalidRequestException")
		}},
		{"emr/fleets and groups exclude each other", "third party: \"Instance fleets and instance groups are mutually exclusive…\"", "HTTP 500 with HTML", func(t *testing.T, w *world) {
			_, err := w.emr.ListInstanceFleets(t.Context(), &emr.ListInstanceFleetsInput{ClusterId: &w.cluster})
			wantCode(t, err, "InvalidRequestException")
			_, err = w.emr.ListInstances(t.Context(), &emr.ListInstancesInput{ClusterId: &w.cluster, InstanceFleetType: "MASTER"})
			wantCode(t, err, "InvalidRequestException")
		}},
		{"emr/instance groups", "API_ListInstanceGroups", "", func(t *testing.T, w *world) {
			out, err := w.emr.ListInstanceGroups(t.Context(), &emr.ListInstanceGroupsInput{ClusterId: &w.cluster})
			check(t, err)
			running := map[emrtypes.InstanceGroupType]int32{}
			for _, g := range out.InstanceGroups {
				running[g.InstanceGroupType] = *g.RunningInstanceCount
			}
			equal(t, "masters", running["MASTER"], 1)
			equal(t, "cores", running["CORE"], 2)
		}},
		{"emr/bootstrap actions", "API_ListBootstrapActions", "", func(t *testing.T, w *world) {
			out, err := w.emr.ListBootstrapActions(t.Context(), &emr.ListBootstrapActionsInput{ClusterId: &w.cluster})
			check(t, err)
			equal(t, "number", len(out.BootstrapActions), 0)
		}},
	}
}
