package awsclient

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

const (
	opDescribeLists = "ec2:DescribeManagedPrefixLists"
	opListEntries   = "ec2:GetManagedPrefixListEntries"
	listsPerPage    = 100 // the most that EC2 gives, for lists and entries alike (API Reference)
)

// AnyPrefixList returns the id of a prefix list of the region, AWS's own among them; "" where there is none.
func (c *Client) AnyPrefixList(ctx context.Context) (string, error) {
	in := &ec2.DescribeManagedPrefixListsInput{MaxResults: aws.Int32(listsPerPage)}
	for range maxPages { // a page may be empty and not the last (EC2 API Reference, "Pagination")
		out, err := read(ctx, c, opDescribeLists, "", func(ctx context.Context) (*ec2.DescribeManagedPrefixListsOutput, error) {
			return c.ec2.DescribeManagedPrefixLists(ctx, in)
		})
		if err != nil {
			return "", err
		}
		for _, l := range out.PrefixLists {
			if id := aws.ToString(l.PrefixListId); checkID(opDescribeLists, "prefix list (pl-…)", formList, id) == nil {
				return id, nil
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return "", nil
		}
	}
	return "", &Error{Kind: Server, Op: opDescribeLists, Err: errTooManyPages}
}

// PrefixLists describes managed prefix lists, without their entries, sorted by id. They are asked for by filter: one
// that is not there is missing in the answer, and does not fail the others.
func (c *Client) PrefixLists(ctx context.Context, ids []string) ([]sgsync.PrefixList, error) {
	for _, id := range ids {
		if err := checkID(opDescribeLists, "prefix list (pl-…)", formList, id); err != nil {
			return nil, err
		}
	}
	var lists []sgsync.PrefixList
	for batch := range slices.Chunk(ids, filterValues) {
		in := &ec2.DescribeManagedPrefixListsInput{
			Filters:    []ec2types.Filter{{Name: aws.String("prefix-list-id"), Values: batch}},
			MaxResults: aws.Int32(listsPerPage),
		}
		for page := 0; ; page++ {
			if page == maxPages {
				return nil, &Error{Kind: Server, Op: opDescribeLists, Err: errTooManyPages}
			}
			out, err := read(ctx, c, opDescribeLists, "", func(ctx context.Context) (*ec2.DescribeManagedPrefixListsOutput, error) {
				return c.ec2.DescribeManagedPrefixLists(ctx, in)
			})
			if err != nil {
				return nil, err
			}
			for _, l := range out.PrefixLists {
				if slices.Contains(batch, aws.ToString(l.PrefixListId)) { // what the answer says decides, not the filter
					lists = append(lists, listOf(l))
				}
			}
			if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
				break
			}
		}
	}
	slices.SortFunc(lists, func(a, b sgsync.PrefixList) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(lists, func(a, b sgsync.PrefixList) bool { return a.ID == b.ID }), nil
}

func listOf(in ec2types.ManagedPrefixList) sgsync.PrefixList {
	return sgsync.PrefixList{
		ID: aws.ToString(in.PrefixListId), Name: aws.ToString(in.PrefixListName), AWS: aws.ToString(in.OwnerId) == "AWS",
		IPv6: strings.EqualFold(aws.ToString(in.AddressFamily), "IPv6"), MaxEntries: int(aws.ToInt32(in.MaxEntries)),
	}
}

// PrefixListEntries fills in the entries of a list, of its latest version: that is what rules use. An entry that cannot
// be read is an error: a list that only seems to be narrow would be believed.
func (c *Client) PrefixListEntries(ctx context.Context, l *sgsync.PrefixList) error {
	if err := checkID(opListEntries, "prefix list (pl-…)", formList, l.ID); err != nil {
		return err
	}
	in := &ec2.GetManagedPrefixListEntriesInput{PrefixListId: &l.ID, MaxResults: aws.Int32(listsPerPage)}
	l.Entries = nil
	for range maxPages {
		out, err := read(ctx, c, opListEntries, l.ID, func(ctx context.Context) (*ec2.GetManagedPrefixListEntriesOutput, error) {
			return c.ec2.GetManagedPrefixListEntries(ctx, in)
		})
		if err != nil {
			return err
		}
		for _, e := range out.Entries {
			v4, v6 := e.Cidr, (*string)(nil)
			if strings.Contains(aws.ToString(e.Cidr), ":") {
				v4, v6 = nil, e.Cidr
			}
			p := cidr(v4, v6)
			if !p.IsValid() {
				return &Error{Kind: Server, Op: opListEntries, Resource: l.ID, Err: errors.New("an entry of the list is no network")}
			}
			l.Entries = append(l.Entries, p)
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return nil
		}
	}
	return &Error{Kind: Server, Op: opListEntries, Resource: l.ID, Err: errTooManyPages}
}
