//go:build !linux && !darwin && !windows

package ipwatch

import (
	"errors"
	"fmt"
	"runtime"
)

func openNetwork() (listening, error) {
	return nil, fmt.Errorf("%s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func openWake() (listening, error) { return wallTick{}, nil }
