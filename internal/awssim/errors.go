package awssim

import (
	"errors"
	"fmt"
	"net/http"
)

// apiError is an answer of AWS that refuses a request.
type apiError struct {
	code, message string
	status        int    // 0 means the usual one for the code
	detail        string // ErrorCode in EMR's InvalidRequestException
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func (e *apiError) httpStatus() int {
	if e.status != 0 {
		return e.status
	}
	switch e.code {
	case "DryRunOperation":
		return http.StatusPreconditionFailed
	case "AuthFailure":
		return http.StatusUnauthorized
	case "UnauthorizedOperation", "AccessDenied", "ExpiredToken", "InvalidClientTokenId", "MissingAuthenticationToken", "SignatureDoesNotMatch":
		return http.StatusForbidden
	case "RequestEntityTooLarge":
		return http.StatusRequestEntityTooLarge
	case "RequestLimitExceeded", "Unavailable", "ServiceUnavailable":
		return http.StatusServiceUnavailable
	case "InternalError", "InternalFailure", "InternalServerError", "InternalServerException":
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

func fail(code, format string, args ...any) error {
	return &apiError{code: code, message: fmt.Sprintf(format, args...)}
}

// asAPIError returns the answer for any error. What is not an apiError is a fault of this package.
func asAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	return &apiError{code: "InternalError", message: err.Error()}
}

func errMissing(parameter string) error {
	return fail("MissingParameter", "The request must contain the parameter %s", parameter)
}

func errCombination(format string, args ...any) error {
	return fail("InvalidParameterCombination", format, args...)
}
