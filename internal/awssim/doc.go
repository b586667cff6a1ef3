// Package awssim is a simulated AWS region: EC2 (ec2Query, XML), EMR (AWS JSON 1.1) and STS (query, XML)
// behind one [http.Handler]. It serves the demo and the aws CLI over a loopback socket, and tests in
// memory as the SDK's HTTP client ([Sim.Client]), also inside a testing/synctest bubble.
//
// It is faithful to AWS in what a program that edits security group rules can notice: canonical CIDRs,
// all-or-nothing writes, duplicates, quotas by address family, tags on rules, dry runs, paging, error
// codes, delayed visibility. Where AWS documents nothing the comment at that place says so. The contract
// suite in the tests runs the same cases against moto_server.
//
// What it does not do: it checks no signature (any secret is accepted, see [Sim.AddPrincipal]), evaluates
// no IAM policies (a [Principal] lists the actions that it is denied), and knows one region and no
// throttling of its own (see [Sim.Inject]).
package awssim
