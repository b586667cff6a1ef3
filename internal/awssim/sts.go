package awssim

import (
	"encoding/xml"
	"strings"
	"time"
)

// callerIdentity is GetCallerIdentity.
func (s *Sim) callerIdentity(rq *request) (func() (any, error), error) {
	return func() (any, error) {
		return struct {
			XMLName xml.Name `xml:"GetCallerIdentityResult"`
			ARN     string   `xml:"Arn"`
			UserID  string   `xml:"UserId"`
			Account string   `xml:"Account"`
		}{ARN: rq.principal.ARN, UserID: rq.principal.UserID, Account: rq.principal.Account}, nil
	}, nil
}

type credentialsXML struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string `xml:"SecretAccessKey"`
	SessionToken    string `xml:"SessionToken"`
	Expiration      string `xml:"Expiration"`
}

type assumedRoleXML struct {
	ID  string `xml:"AssumedRoleId"`
	ARN string `xml:"Arn"`
}

// assumeRole is AssumeRole: any role exists, everybody may assume it, and it may do everything. Its
// credentials end after DurationSeconds.
func (s *Sim) assumeRole(rq *request) (func() (any, error), error) {
	role, session := rq.form.get("RoleArn"), rq.form.get("RoleSessionName")
	seconds, err := rq.form.integer("DurationSeconds")
	if err != nil {
		return nil, err
	}
	// arn:aws:iam::123456789012:role/path/name
	parts := strings.SplitN(role, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" || !strings.HasPrefix(parts[5], "role/") {
		return nil, fail("ValidationError", "%s is invalid", role)
	}
	if len(session) < 2 || len(session) > 64 {
		return nil, fail("ValidationError", "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint", session)
	}
	duration := 3600
	if seconds != nil {
		duration = *seconds
	}
	if duration < 900 || duration > 43200 {
		return nil, fail("ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint", duration)
	}
	return func() (any, error) {
		account, name := parts[4], parts[5][strings.LastIndex(parts[5], "/")+1:]
		expires := rq.at.Add(time.Duration(duration) * time.Second)
		p := Principal{
			UserID:  s.roleID(role) + ":" + session,
			ARN:     "arn:aws:sts::" + account + ":assumed-role/" + name + "/" + session,
			Account: account,
			expires: expires,
		}
		key := s.upperID("ASIA", 16)
		s.principals[key] = p
		return struct {
			XMLName     xml.Name       `xml:"AssumeRoleResult"`
			Credentials credentialsXML `xml:"Credentials"`
			User        assumedRoleXML `xml:"AssumedRoleUser"`
		}{
			Credentials: credentialsXML{key, "simulated-secret", "simulated-token", expires.UTC().Format(time.RFC3339)},
			User:        assumedRoleXML{p.UserID, p.ARN},
		}, nil
	}, nil
}
