package awssim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
)

const (
	xmlType  = "text/xml;charset=UTF-8"
	jsonType = "application/x-amz-json-1.1"

	ec2Namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
)

// head begins every EC2 answer.
type head struct {
	RequestID string `xml:"requestId"`
}

func (h *head) setRequestID(id string) { h.RequestID = id }

// items is an EC2 list: <xxxSet><item>…</item></xxxSet>, written even when it is empty, as EC2 does.
type items[T any] struct {
	Item []T `xml:"item"`
}

// returned is the answer of the operations that only say that they did it.
type returned struct {
	head
	Return bool `xml:"return"`
}

// stsAnswer is the frame of an STS answer; Result carries its own element name.
type stsAnswer struct {
	Result    any
	RequestID string `xml:"ResponseMetadata>RequestId"`
}

// requestID makes an id in the form of a UUID. It counts apart from resource ids, so that reads do not change those.
func (s *Sim) requestID() string {
	s.mu.Lock()
	s.requests++
	n := s.requests
	s.mu.Unlock()
	h := fmt.Sprintf("%x", sha256.Sum256(strconv.AppendInt(nil, int64(n), 10)))
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:32])
}

// headers are common to all answers. Clients compare the ends of leases with the Date.
func (s *Sim) headers(contentType, requestID string) http.Header {
	return http.Header{
		"Content-Type":     {contentType},
		"Date":             {s.opts.Now().UTC().Format(http.TimeFormat)},
		"Server":           {"awssim"},
		"X-Amzn-Requestid": {requestID},
	}
}

// okAnswer encodes the result of an operation in the service's protocol.
func (s *Sim) okAnswer(rq *request, out any) answer {
	id := s.requestID()
	var body []byte
	var err error
	contentType := xmlType
	switch rq.service {
	case "elasticmapreduce":
		contentType = jsonType
		body, err = json.Marshal(out)
	case "sts":
		body, err = marshalXML(rq.action+"Response", stsNamespace, stsAnswer{Result: out, RequestID: id})
	default:
		if h, ok := out.(interface{ setRequestID(string) }); ok {
			h.setRequestID(id)
		}
		body, err = marshalXML(rq.action+"Response", ec2Namespace, out)
	}
	if err != nil {
		return s.errorAnswer(rq, asAPIError(err))
	}
	return answer{status: http.StatusOK, header: s.headers(contentType, id), body: body}
}

func marshalXML(name, namespace string, v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	start := xml.StartElement{Name: xml.Name{Local: name}}
	if namespace != "" {
		start.Attr = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}}
	}
	if err := xml.NewEncoder(&b).EncodeElement(v, start); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

type ec2Error struct {
	Code      string `xml:"Errors>Error>Code"`
	Message   string `xml:"Errors>Error>Message"`
	RequestID string `xml:"RequestID"`
}

type stsError struct {
	Type      string `xml:"Error>Type"`
	Code      string `xml:"Error>Code"`
	Message   string `xml:"Error>Message"`
	RequestID string `xml:"RequestId"`
}

type emrError struct {
	Type      string `json:"__type"`
	ErrorCode string `json:"ErrorCode,omitempty"`
	Message   string `json:"Message"`
}

// errorAnswer encodes an error in the service's protocol; EC2's where the service is not known.
func (s *Sim) errorAnswer(rq *request, e *apiError) answer {
	id := s.requestID()
	a := answer{status: e.httpStatus(), code: e.code}
	contentType := xmlType
	var err error
	switch rq.service {
	case "elasticmapreduce":
		contentType = jsonType
		a.body, err = json.Marshal(emrError{Type: e.code, ErrorCode: e.detail, Message: e.message})
	case "sts":
		side := "Sender"
		if a.status >= 500 {
			side = "Receiver"
		}
		a.body, err = marshalXML("ErrorResponse", stsNamespace, stsError{Type: side, Code: e.code, Message: e.message, RequestID: id})
	default:
		a.body, err = marshalXML("Response", "", ec2Error{Code: e.code, Message: e.message, RequestID: id})
	}
	if err != nil { // cannot happen: strings only
		a.status, a.body = http.StatusInternalServerError, []byte(err.Error())
	}
	a.header = s.headers(contentType, id)
	if rq.service == "elasticmapreduce" {
		a.header["X-Amzn-Errortype"] = []string{e.code}
	}
	return a
}

// rawAnswer is what a proxy, a load balancer or a captive portal says in the place of AWS: without a request id.
func (s *Sim) rawAnswer(f Fault) answer {
	header := s.headers("text/html", "")
	header.Del("X-Amzn-Requestid")
	return answer{status: cmp.Or(f.Status, http.StatusServiceUnavailable), code: "RawBody", header: header, body: []byte(f.RawBody)}
}

// flattenJSON names the values of a JSON document as ec2Query would ("ClusterStates.1"). What is no JSON has none.
func flattenJSON(body []byte) map[string]string {
	out := map[string]string{}
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&v) == nil {
		flattenValue(out, "", v)
	}
	return out
}

func flattenValue(out map[string]string, name string, v any) {
	join := func(part string) string {
		if name == "" {
			return part
		}
		return name + "." + part
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			flattenValue(out, join(k), e)
		}
	case []any:
		for i, e := range v {
			flattenValue(out, join(strconv.Itoa(i+1)), e)
		}
	case nil:
	default:
		out[name] = fmt.Sprint(v)
	}
}
