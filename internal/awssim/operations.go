package awssim

// makeOperations lists everything that is simulated, by IAM action.
func (s *Sim) makeOperations() map[string]operation {
	return map[string]operation{
		"sts:GetCallerIdentity": s.callerIdentity,
		"sts:AssumeRole":        s.assumeRole,

		"elasticmapreduce:ListClusters":                      s.listClusters,
		"elasticmapreduce:DescribeCluster":                   s.describeCluster,
		"elasticmapreduce:ListInstances":                     s.listInstances,
		"elasticmapreduce:ListInstanceGroups":                s.listInstanceGroups,
		"elasticmapreduce:ListInstanceFleets":                s.listInstanceFleets,
		"elasticmapreduce:ListBootstrapActions":              s.listBootstrapActions,
		"elasticmapreduce:GetBlockPublicAccessConfiguration": s.getPublicBlock,
		"ec2:DescribeSecurityGroups":                         s.describeGroups,
		"ec2:CreateSecurityGroup":                            s.createGroup,
		"ec2:DeleteSecurityGroup":                            s.deleteGroup,
		"ec2:DescribeSecurityGroupRules":                     s.describeRules,
		"ec2:AuthorizeSecurityGroupIngress":                  s.authorizeIngress,
		"ec2:RevokeSecurityGroupIngress":                     s.revokeIngress,
		"ec2:ModifySecurityGroupRules":                       s.modifyRules,
		"ec2:UpdateSecurityGroupRuleDescriptionsIngress":     s.updateDescriptions,
		"ec2:CreateTags":                                     s.createTags,
		"ec2:DeleteTags":                                     s.deleteTags,
		"ec2:DescribeTags":                                   s.describeTags,
		"ec2:DescribeVpcs":                                   s.describeVPCs,
		"ec2:DescribeSubnets":                                s.describeSubnets,
		"ec2:DescribeNetworkAcls":                            s.describeACLs,
		"ec2:DescribeRouteTables":                            s.describeRouteTables,
		"ec2:DescribeInstances":                              s.describeInstances,
		"ec2:DescribeNetworkInterfaces":                      s.describeInterfaces,
		"ec2:DescribeKeyPairs":                               s.describeKeyPairs,
		"ec2:GetConsoleOutput":                               s.consoleOutput,
		"ec2:DescribeManagedPrefixLists":                     s.describePrefixLists,
		"ec2:GetManagedPrefixListEntries":                    s.prefixListEntries,
		"ec2:ModifyManagedPrefixList":                        s.modifyPrefixList,
	}
}
