package awsclient

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"regexp"
)

const (
	// maxAnswer bounds an answer in bytes. The largest honest one is a page of 1000 rules with 50 tags each,
	// some 25 MB.
	maxAnswer = 64 << 20
	// answerHead is how much of an answer is looked at before it is believed, in bytes.
	answerHead = 1 << 10
)

var (
	errAnswerTooLarge = errors.New("the answer is larger than any that AWS gives")
	errNotAWS         = errors.New("the answer is not in the form of AWS's")
)

// awsAnswer matches how a good answer begins: a JSON object, or XML with a root like DescribeInstancesResponse.
var awsAnswer = regexp.MustCompile(`\A\x{FEFF}?\s*(?:\{|(?:<\?[^>]*\?>\s*)?<[A-Za-z0-9]+Response[\s>])`)

// checkedClient looks at answers before the SDK does. The SDK takes an empty body, and any well-formed page of a proxy,
// for an answer in which everything happens to be missing: a group would seem to have no rules, a write to have succeeded.
// It also ends answers after maxAnswer bytes.
type checkedClient struct{ next Doer }

// Do implements Doer.
func (c checkedClient) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.next.Do(plainBody(req))
	if err != nil || resp == nil || resp.Body == nil {
		return resp, err
	}
	body := &boundedBody{next: resp.Body, left: maxAnswer}
	head := bufio.NewReaderSize(body, answerHead)
	checked := &checkedBody{Reader: head, Closer: resp.Body}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		first, err := head.Peek(answerHead) // an error other than the end comes again when the body is read
		if (err == nil || errors.Is(err, io.EOF)) && !awsAnswer.Match(first) {
			checked.Reader = refused{}
		}
	}
	resp.Body = checked
	return resp, nil
}

// plainBody hides WriteTo of the SDK's request bodies. smithy-go closes a body as soon as the answer begins,
// and WriteTo of a closed body returns io.EOF, for which net/http closes the connection in the middle of a
// quick long answer ("use of closed network connection", aws-sdk-go-v2#2737).
func plainBody(req *http.Request) *http.Request {
	if req.Body == nil || req.Body == http.NoBody {
		return req
	}
	clone := *req
	clone.Body = struct{ io.ReadCloser }{req.Body}
	return &clone
}

type checkedBody struct {
	io.Reader
	io.Closer
}

// refused is read as an error, after which the SDK does not try again.
type refused struct{}

func (refused) Read([]byte) (int, error) { return 0, errNotAWS }

type boundedBody struct {
	next io.Reader
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errAnswerTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.next.Read(p)
	b.left -= int64(n)
	return n, err
}
