// Package iampolicy writes the least IAM policy under which the program can do its work: for certain accounts,
// regions, groups and clusters. It is pure, and says of each statement what it is for (docs/security.md says why).
//
// The facts are those of the Service Authorization Reference, "Actions, resources, and condition keys for Amazon
// EC2" and "… for Amazon Elastic MapReduce".
package iampolicy
