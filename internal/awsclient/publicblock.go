package awsclient

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/emr"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// PublicBlock reads EMR's block public access setting of the account and region.
func (c *Client) PublicBlock(ctx context.Context) (sgsync.PublicBlock, error) {
	const op = "elasticmapreduce:GetBlockPublicAccessConfiguration"
	out, err := read(ctx, c, op, "", func(ctx context.Context) (*emr.GetBlockPublicAccessConfigurationOutput, error) {
		return c.emr.GetBlockPublicAccessConfiguration(ctx, &emr.GetBlockPublicAccessConfigurationInput{})
	})
	if err != nil {
		return sgsync.PublicBlock{}, err
	}
	conf := out.BlockPublicAccessConfiguration
	if conf == nil || conf.BlockPublicSecurityGroupRules == nil { // moto, before anybody has set it
		return sgsync.PublicBlock{}, &Error{Kind: Server, Op: op, Err: errors.New("the answer holds no setting")}
	}
	b := sgsync.PublicBlock{Block: *conf.BlockPublicSecurityGroupRules, Except: [][2]int{}}
	for _, r := range conf.PermittedPublicSecurityGroupRuleRanges {
		first := int(aws.ToInt32(r.MinRange))
		last := first // MaxRange is optional (EMR API Reference, PortRange)
		if r.MaxRange != nil {
			last = int(*r.MaxRange)
		}
		b.Except = append(b.Except, [2]int{first, last})
	}
	return b, nil
}
