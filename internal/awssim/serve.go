package awssim

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody is more than any request of the operations here needs (AWS documents no limit for EC2).
const maxBody = 1 << 20

// errDropped tells that the connection is to be closed without an answer.
var errDropped = errors.New("the connection was dropped")

// request is a request whose service, action and parameters are known.
type request struct {
	at                         time.Time
	service, action, accessKey string
	principal                  Principal
	form                       *form  // EC2, STS
	json                       []byte // EMR
}

// name is the action as IAM names it.
func (rq *request) name() string { return rq.service + ":" + rq.action }

// operation reads and checks a request's parameters, and returns what carries it out. Between the two a dry run
// ends, so no operation can forget it. Both run under the Sim's lock; the answer must not share memory with the world.
type operation func(rq *request) (act func() (any, error), err error)

type answer struct {
	status int
	code   string // error code, "" for success
	header http.Header
	body   []byte
}

// ServeHTTP answers a request of any of the three services: it tells them apart by X-Amz-Target, by the credential's
// scope, or by the API version. A request that is to be dropped aborts the handler with [http.ErrAbortHandler].
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := s.serve(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	// A client that is gone has no use for the rest.
	_, _ = w.Write(a.body)
}

// serve answers a request, or returns an error when the client is to get no answer.
func (s *Sim) serve(r *http.Request) (answer, error) {
	rq, parseErr := s.read(r)
	call, f := s.arrive(rq)
	a, err := s.perform(r.Context(), rq, parseErr, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	call.Status, call.Code, call.Dropped = a.status, a.code, err != nil
	return a, err
}

// arrive writes the request into the log and finds the fault that hits it.
func (s *Sim) arrive(rq *request) (*Call, Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := &Call{At: s.opts.Now(), Service: rq.service, Action: rq.action, AccessKey: rq.accessKey}
	switch {
	case rq.json != nil:
		call.Params = flattenJSON(rq.json)
	case rq.form != nil:
		call.Params = rq.form.flatten()
	}
	s.calls = append(s.calls, call)
	f, _ := s.nextFault(rq.service, rq.action, rq.accessKey)
	return call, f
}

// perform carries out a request with the fault that hits it.
func (s *Sim) perform(ctx context.Context, rq *request, parseErr error, f Fault) (answer, error) {
	if err := sleep(ctx, f.Latency); err != nil {
		return answer{}, err
	}
	var a answer
	switch {
	case f.DropBefore:
		return answer{}, errDropped
	case f.RawBody != "":
		a = s.rawAnswer(f)
	case f.Code != "":
		a = s.errorAnswer(rq, &apiError{code: f.Code, message: cmp.Or(f.Message, "injected: "+f.Code), status: f.Status})
	case parseErr != nil:
		a = s.errorAnswer(rq, asAPIError(parseErr))
	default:
		a = s.answer(rq)
	}
	if err := sleep(ctx, f.AnswerLatency); err != nil {
		return a, err
	}
	if f.DropAfter {
		return a, errDropped
	}
	return a, nil
}

// answer runs the operation. It is the only place where operations run.
func (s *Sim) answer(rq *request) answer {
	out, err := s.run(rq)
	if err != nil {
		return s.errorAnswer(rq, asAPIError(err))
	}
	return s.okAnswer(rq, out)
}

func (s *Sim) run(rq *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rq.at = s.opts.Now() // not the time of arrival: a fault may have delayed it
	rq.principal = s.principal(rq.accessKey)
	if err := s.authenticate(rq); err != nil {
		return nil, err
	}
	op, ok := s.operations[rq.name()]
	if !ok {
		return nil, errUnknownAction(rq)
	}
	if err := authorize(rq, rq.name()); err != nil {
		return nil, err
	}
	act, err := op(rq)
	if err != nil {
		return nil, err
	}
	if rq.form != nil {
		dry, err := rq.form.boolean("DryRun")
		if err != nil {
			return nil, err
		}
		// STS has many optional parameters that mean nothing here.
		if name := rq.form.unread(); name != "" && rq.service == "ec2" {
			return nil, errUnknownParameter(name)
		}
		if dry && rq.service == "ec2" {
			return nil, fail("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
		}
	}
	return act()
}

// read takes a request apart. The request is usable for the log even where the error is not nil.
func (s *Sim) read(r *http.Request) (*request, error) {
	rq := &request{}
	key, scope := credential(r.Header.Get("Authorization"))
	rq.accessKey, rq.service = key, scope.service
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1)); err != nil {
			return rq, fail("RequestTimeout", "The request body could not be read")
		}
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		rq.service = "elasticmapreduce"
		action, ok := strings.CutPrefix(target, "ElasticMapReduce.")
		if !ok {
			return rq, fail("UnknownOperationException", "no operation %s", target)
		}
		rq.action = action
	}
	if len(body) > maxBody {
		return rq, fail("RequestEntityTooLarge", "the body is longer than %d bytes", maxBody)
	}
	if rq.service == "elasticmapreduce" {
		rq.json = body
		if rq.action == "" {
			return rq, fail("UnknownOperationException", "there is no X-Amz-Target")
		}
		return rq, s.checkRegion(rq, scope)
	}
	query := r.URL.RawQuery
	if r.Method == http.MethodPost {
		query = string(body)
	}
	var err error
	if rq.form, err = parseForm(query); err != nil {
		return rq, err
	}
	rq.action = rq.form.get("Action")
	if version := rq.form.get("Version"); rq.service == "" {
		rq.service = map[string]string{"2016-11-15": "ec2", "2011-06-15": "sts"}[version]
	}
	if rq.service != "ec2" && rq.service != "sts" {
		return rq, fail("InvalidAction", "the service %q is not simulated", rq.service)
	}
	if rq.action == "" {
		return rq, fail("MissingAction", "The request must contain the parameter Action")
	}
	return rq, s.checkRegion(rq, scope)
}

// sleep waits for d, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
