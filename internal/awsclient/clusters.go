package awsclient

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	emrtypes "github.com/aws/aws-sdk-go-v2/service/emr/types"
)

// ClusterSummary is a cluster in a list.
type ClusterSummary struct {
	ID, Name, State string
	Created         time.Time // zero if EMR does not say
}

// ListClusters lists the clusters of the account and region, the newest first as EMR does; only active ones unless all is
// true. EMR forgets ended clusters after two months.
func (c *Client) ListClusters(ctx context.Context, all bool) ([]ClusterSummary, error) {
	const op = "elasticmapreduce:ListClusters"
	in := &emr.ListClustersInput{}
	if !all {
		in.ClusterStates = []emrtypes.ClusterState{
			emrtypes.ClusterStateStarting, emrtypes.ClusterStateBootstrapping, emrtypes.ClusterStateRunning, emrtypes.ClusterStateWaiting,
		}
	}
	var list []ClusterSummary
	for range maxPages {
		out, err := read(ctx, c, op, "", func(ctx context.Context) (*emr.ListClustersOutput, error) {
			return c.emr.ListClusters(ctx, in)
		})
		if err != nil {
			return nil, err
		}
		for _, s := range out.Clusters {
			list = append(list, summaryOf(s))
		}
		if in.Marker = out.Marker; aws.ToString(in.Marker) == "" {
			return list, nil
		}
	}
	return nil, &Error{Kind: Server, Op: op, Err: errTooManyPages}
}

func summaryOf(in emrtypes.ClusterSummary) ClusterSummary {
	out := ClusterSummary{ID: aws.ToString(in.Id), Name: aws.ToString(in.Name)}
	if s := in.Status; s != nil {
		out.State = string(s.State)
		if s.Timeline != nil {
			out.Created = aws.ToTime(s.Timeline.CreationDateTime)
		}
	}
	return out
}
