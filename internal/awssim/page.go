package awssim

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
)

const tokenPrefix = "awssim-after "

// page is the part of the results that a request asks for.
type page struct {
	max   int // 0 means all
	after string
}

// readPage reads MaxResults, which must lie in [low, high], and NextToken.
func readPage(f *form, low, high int) (page, error) {
	var p page
	n, err := f.integer("MaxResults")
	if err != nil {
		return p, err
	}
	if n != nil {
		if *n < low {
			return p, fail("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than %d.", *n, low)
		}
		if *n > high {
			return p, fail("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value less than %d.", *n, high)
		}
		p.max = *n
	}
	token := f.get("NextToken")
	if token == "" {
		return p, nil
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	after, ok := strings.CutPrefix(string(raw), tokenPrefix)
	if err != nil || !ok {
		return p, fail("InvalidPaginationToken", "The specified pagination token is not valid")
	}
	p.after = after
	return p, nil
}

// cut sorts results by key and returns those of the page, and the token of the next page ("" for the last). A token names the last
// key that was shown, so results that come and go between two pages shift nothing.
func cut[T any](p page, all []T, key func(T) string) ([]T, string) {
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	if p.after != "" {
		all = slices.DeleteFunc(all, func(v T) bool { return key(v) <= p.after })
	}
	if p.max == 0 || len(all) <= p.max {
		return all, ""
	}
	all = all[:p.max]
	return all, base64.StdEncoding.EncodeToString([]byte(tokenPrefix + key(all[len(all)-1])))
}
