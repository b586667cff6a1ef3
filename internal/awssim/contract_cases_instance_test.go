package awssim_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
)

// masterID is the instance id of the cluster's master.
func masterID(t *testing.T, w *world) string {
	t.Helper()
	return *instances(t, w, &emr.ListInstancesInput{InstanceGroupTypes: []emrtypes.InstanceGroupType{"MASTER"}})[0].Ec2InstanceId
}

func describeInstance(t *testing.T, w *world, id string) types.Instance {
	t.Helper()
	out, err := w.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	check(t, err)
	if len(out.Reservations) != 1 || len(out.Reservations[0].Instances) != 1 {
		t.Fatalf("reservations are %+v", out.Reservations)
	}
	return out.Reservations[0].Instances[0]
}

func instanceCases() []contractCase {
	return []contractCase{
		{"instance/describe", "API_DescribeInstances, API_Instance", "", func(t *testing.T, w *world) {
			id := masterID(t, w)
			i := describeInstance(t, w, id)
			equal(t, "id", *i.InstanceId, id)
			equal(t, "state", i.State.Name, types.InstanceStateNameRunning)
			listed := instances(t, w, &emr.ListInstancesInput{InstanceGroupTypes: []emrtypes.InstanceGroupType{"MASTER"}})[0]
			equal(t, "public address", aws.ToString(i.PublicIpAddress), aws.ToString(listed.PublicIpAddress))
			equal(t, "private address", aws.ToString(i.PrivateIpAddress), aws.ToString(listed.PrivateIpAddress))
			equal(t, "interfaces", len(i.NetworkInterfaces), 1)
		}},
		{"instance/groups and key", "EMR sets the master's groups on its interface; API_Instance", "no groups, no key", func(t *testing.T, w *world) {
			i := describeInstance(t, w, masterID(t, w))
			var ids []string
			for _, g := range i.NetworkInterfaces[0].Groups {
				ids = append(ids, *g.GroupId)
			}
			if len(ids) != 2 || !slices.Contains(ids, w.master) || !slices.Contains(ids, w.additional) || len(i.SecurityGroups) != 2 {
				t.Errorf("groups are %v", ids)
			}
			equal(t, "key", aws.ToString(i.KeyName), "team")
		}},
		{"instance/subnet", "API_Instance: SubnetId, VpcId; API_Ec2InstanceAttributes: Ec2SubnetId", "the instances are in the default VPC", func(t *testing.T, w *world) {
			i := describeInstance(t, w, masterID(t, w))
			equal(t, "subnet", aws.ToString(i.SubnetId), w.subnet)
			equal(t, "VPC", aws.ToString(i.VpcId), w.vpc)
		}},
		{"instance/by state", "API_DescribeInstances: instance-state-name", "", func(t *testing.T, w *world) {
			count := func(state string) (n int) {
				out, err := w.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{
					Filters: []types.Filter{filter("instance-state-name", state), filter("instance-id", masterID(t, w))},
				})
				check(t, err)
				for _, r := range out.Reservations {
					n += len(r.Instances)
				}
				return n
			}
			equal(t, "running", count("running"), 1)
			equal(t, "stopped", count("stopped"), 0)
		}},
		{"instance/unknown", "Error codes: InvalidInstanceID.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
			wantCode(t, err, "InvalidInstanceID.NotFound")
		}},
		{"instance/malformed id", "Error codes: InvalidInstanceID.Malformed", "answers NotFound", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{"i-xyz"}})
			wantCode(t, err, "InvalidInstanceID.Malformed")
		}},
		{"instance/console output", "API_GetConsoleOutput: the output is base64", "", func(t *testing.T, w *world) {
			id := masterID(t, w)
			out, err := w.ec2.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: &id})
			check(t, err)
			equal(t, "id", *out.InstanceId, id)
			if text, err := base64.StdEncoding.DecodeString(aws.ToString(out.Output)); err != nil || len(text) == 0 {
				t.Errorf("output is %q, %v", aws.ToString(out.Output), err)
			}
			if out.Timestamp == nil {
				t.Error("there is no time")
			}
		}},
		{"instance/console of an unknown instance", "Error codes: InvalidInstanceID.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.ec2.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: aws.String("i-0123456789abcdef0")})
			wantCode(t, err, "InvalidInstanceID.NotFound")
		}},
		{"instance/interfaces", "API_DescribeNetworkInterfaces: attachment.instance-id", "", func(t *testing.T, w *world) {
			id := masterID(t, w)
			out, err := w.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter("attachment.instance-id", id)}})
			check(t, err)
			if len(out.NetworkInterfaces) != 1 || aws.ToString(out.NetworkInterfaces[0].Attachment.InstanceId) != id {
				t.Errorf("interfaces are %+v", out.NetworkInterfaces)
			}
		}},
		{"key pair/with its public key", "API_DescribeKeyPairs: IncludePublicKey", "", func(t *testing.T, w *world) {
			const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIUmfB8vZcHDd0MmGfLPvFyUOxh2ZFBGgUTOdSJcrjF team"
			w.newKeyPair(t, w, "team", public)
			out, err := w.ec2.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{KeyNames: []string{"team"}, IncludePublicKey: aws.Bool(true)})
			check(t, err)
			if len(out.KeyPairs) != 1 || !strings.HasPrefix(aws.ToString(out.KeyPairs[0].PublicKey), strings.TrimSuffix(public, " team")) ||
				!strings.HasPrefix(*out.KeyPairs[0].KeyPairId, "key-") {
				t.Errorf("key pairs are %+v", out.KeyPairs)
			}
			out, err = w.ec2.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{Filters: []types.Filter{filter("key-name", "team")}})
			check(t, err)
			if len(out.KeyPairs) != 1 || aws.ToString(out.KeyPairs[0].PublicKey) != "" {
				t.Errorf("without asking for it: %+v", out.KeyPairs)
			}
		}},
		{"key pair/unknown", "Error codes: InvalidKeyPair.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{KeyNames: []string{"nobody"}})
			wantCode(t, err, "InvalidKeyPair.NotFound")
		}},
	}
}

func prefixListCases() []contractCase {
	return []contractCase{
		{"prefix list/describe", "API_DescribeManagedPrefixLists, API_ManagedPrefixList", "", func(t *testing.T, w *world) {
			id := w.newPrefixList(t, w, "team", "198.51.100.0/28", "office")
			out, err := w.ec2.DescribeManagedPrefixLists(t.Context(), &ec2.DescribeManagedPrefixListsInput{PrefixListIds: []string{id}})
			check(t, err)
			if len(out.PrefixLists) != 1 {
				t.Fatalf("lists are %+v", out.PrefixLists)
			}
			p := out.PrefixLists[0]
			equal(t, "name", *p.PrefixListName, "team")
			equal(t, "family", *p.AddressFamily, "IPv4")
			equal(t, "size", *p.MaxEntries, 5)
			equal(t, "version", *p.Version, 1)
		}},
		{"prefix list/entries", "API_GetManagedPrefixListEntries", "", func(t *testing.T, w *world) {
			id := w.newPrefixList(t, w, "entries", "198.51.100.0/28", "office")
			out, err := w.ec2.GetManagedPrefixListEntries(t.Context(), &ec2.GetManagedPrefixListEntriesInput{PrefixListId: &id})
			check(t, err)
			if len(out.Entries) != 1 || *out.Entries[0].Cidr != "198.51.100.0/28" || *out.Entries[0].Description != "office" {
				t.Errorf("entries are %+v", out.Entries)
			}
		}},
		{"prefix list/modify", "API_ModifyManagedPrefixList", "", func(t *testing.T, w *world) {
			id := w.newPrefixList(t, w, "modify", "198.51.100.0/28", "office")
			out, err := w.ec2.ModifyManagedPrefixList(t.Context(), &ec2.ModifyManagedPrefixListInput{
				PrefixListId: &id, PrefixListName: aws.String("modify"), CurrentVersion: aws.Int64(1),
				AddEntries:    []types.AddPrefixListEntry{{Cidr: aws.String("203.0.113.7/32"), Description: aws.String("alice")}},
				RemoveEntries: []types.RemovePrefixListEntry{{Cidr: aws.String("198.51.100.0/28")}},
			})
			check(t, err)
			equal(t, "version", *out.PrefixList.Version, 2)
			entries, err := w.ec2.GetManagedPrefixListEntries(t.Context(), &ec2.GetManagedPrefixListEntriesInput{PrefixListId: &id})
			check(t, err)
			if len(entries.Entries) != 1 || *entries.Entries[0].Cidr != "203.0.113.7/32" {
				t.Errorf("entries are %+v", entries.Entries)
			}
		}},
		{"prefix list/version lock", "terraform-provider-aws#43661: PrefixListVersionMismatch", "the version is not checked", func(t *testing.T, w *world) {
			id := w.newPrefixList(t, w, "lock", "198.51.100.0/28", "office")
			_, err := w.ec2.ModifyManagedPrefixList(t.Context(), &ec2.ModifyManagedPrefixListInput{
				PrefixListId: &id, CurrentVersion: aws.Int64(7), AddEntries: []types.AddPrefixListEntry{{Cidr: aws.String("203.0.113.7/32")}},
			})
			wantCode(t, err, "PrefixListVersionMismatch")
		}},
		{"prefix list/full", "terraform errors.go: PrefixListMaxEntriesExceeded", "the size is not checked", func(t *testing.T, w *world) {
			id := w.newPrefixList(t, w, "full", "198.51.100.0/28", "office")
			var more []types.AddPrefixListEntry
			for _, cidr := range []string{"203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32", "203.0.113.4/32", "203.0.113.5/32"} {
				more = append(more, types.AddPrefixListEntry{Cidr: &cidr})
			}
			_, err := w.ec2.ModifyManagedPrefixList(t.Context(), &ec2.ModifyManagedPrefixListInput{PrefixListId: &id, CurrentVersion: aws.Int64(1), AddEntries: more})
			wantCode(t, err, "PrefixListMaxEntriesExceeded")
		}},
		{"prefix list/unknown", "Error codes: InvalidPrefixListID.NotFound", "HTTP 500 with HTML", func(t *testing.T, w *world) {
			_, err := w.ec2.GetManagedPrefixListEntries(t.Context(), &ec2.GetManagedPrefixListEntriesInput{PrefixListId: aws.String("pl-0123456789abcdef0")})
			wantCode(t, err, "InvalidPrefixListID.NotFound")
		}},
	}
}
