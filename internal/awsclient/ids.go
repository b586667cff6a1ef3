package awsclient

import (
	"fmt"
	"regexp"
)

// The forms of ids, checked before a call: a mistyped or hostile id must not go out, least of all into a
// revoke, where an empty list of ids may mean anything.
const (
	formCluster  = `j-[0-9A-Z]{8,20}`
	formGroup    = `sg-[0-9a-f]{8,17}`
	formRule     = `sgr-[0-9a-f]{8,17}`
	formInstance = `i-[0-9a-f]{8,17}`
	formList     = `pl-[0-9a-f]{8,17}`
	formSubnet   = `subnet-[0-9a-f]{8,17}`
	formVPC      = `vpc-[0-9a-f]{8,17}`
)

// checkID reports an id that does not have the form; what names it for the user ("cluster").
func checkID(op, what, form, id string) error {
	if ok, err := regexp.MatchString(`\A(?:`+form+`)\z`, id); err == nil && ok {
		return nil
	}
	return &Error{Kind: BadRequest, Op: op, Err: fmt.Errorf("%q is not the id of a %s", clean(id, maxCode), what)}
}
