package main

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// newPortal is an IAM Identity Center that knows one token, "good".
func newPortal() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("X-Amz-Sso_bearer_token") != "good" {
			w.Header().Set("X-Amzn-Errortype", "UnauthorizedException")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"message":"Session token not found or invalid"}`)
			return
		}
		fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"AKIATEST","secretAccessKey":"s","sessionToken":"t","expiration":%d}}`, time.Now().Add(time.Hour).UnixMilli())
	}))
}

// signin SESSION TOKEN DURATION: `aws sso login` has left a token that expires then.
func cmdSignIn(ts *testscript.TestScript, _ bool, args []string) {
	life, err := time.ParseDuration(args[2])
	ts.Check(err)
	sum := sha1.Sum([]byte(args[0]))
	dir := filepath.Join(ts.Getenv("HOME"), ".aws", "sso", "cache")
	ts.Check(os.MkdirAll(dir, 0o700))
	text := fmt.Sprintf(`{"accessToken":%q,"expiresAt":%q,"region":"eu-west-1","startUrl":"https://corp.example/start"}`, args[1], time.Now().Add(life).UTC().Format(time.RFC3339))
	ts.Check(os.WriteFile(filepath.Join(dir, hex.EncodeToString(sum[:])+".json"), []byte(text), 0o600))
}
