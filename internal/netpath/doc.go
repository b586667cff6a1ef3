// Package netpath judges the way through a VPC to a port: network ACLs and route tables. It is pure: the caller
// reads them from AWS.
package netpath
