package main

import (
	"context"

	"github.com/emr-accessd/emr-accessd/internal/iampolicy"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// connect asks for what `connect` needs besides.
func (c *checker) connect(ctx context.Context, place keeper.Place) error {
	if !c.has(iampolicy.Connect) {
		return nil
	}
	if len(place.Nodes) == 0 {
		c.unknown("asked for once a node runs", "ec2:GetConsoleOutput")
	} else if err := c.note("ec2:GetConsoleOutput", place.Nodes[0].Instance, c.client.TryConsole(ctx, place.Nodes[0].Instance)); err != nil {
		return err
	}
	return c.note("ec2:DescribeKeyPairs", "*", c.client.TryKeyPair(ctx))
}

// audit asks for what `audit` needs besides. Most of it names no resource.
func (c *checker) audit(ctx context.Context) error {
	if !c.has(iampolicy.Audit) {
		return nil
	}
	var list string
	return c.ask(
		func() error { return c.note("ec2:DescribeSecurityGroups", "*", c.client.TryGroups(ctx)) },
		func() error { return c.note("ec2:DescribeNetworkInterfaces", "*", c.client.TryInterfaces(ctx)) },
		func() (err error) {
			list, err = c.client.AnyPrefixList(ctx)
			return c.note("ec2:DescribeManagedPrefixLists", "*", err)
		},
		func() error {
			if list == "" {
				c.unknown("asked for once a prefix list can be seen", "ec2:GetManagedPrefixListEntries")
				return nil
			}
			return c.note("ec2:GetManagedPrefixListEntries", list, c.client.TryPrefixListEntries(ctx, list))
		},
		func() error { // EMR knows no dry runs
			_, err := c.client.PublicBlock(ctx)
			return c.note("elasticmapreduce:GetBlockPublicAccessConfiguration", "*", err)
		},
	)
}
