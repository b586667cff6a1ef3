// Package awsclient asks AWS: who am I (STS), which clusters and nodes are there (EMR), which rules does a
// security group hold (EC2) — and writes rules, one a call. It is the only importer of the AWS SDK.
//
// A [Client] belongs to one profile and region and is opened anew for each round: keys that another tool
// wrote into ~/.aws/credentials are only seen by a new configuration. [*Client] implements sgsync.API.
//
// Every failure is an [*Error] with a [Kind], told apart by the error code and by the stage in which it
// happened (loading the files, retrieving credentials, a call), never by the text of a message.
package awsclient
