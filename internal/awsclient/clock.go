package awsclient

import (
	"fmt"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// skewWorthTelling is from when on a clock is named as the cause of refused credentials. EC2 refuses at 15
// minutes; an ordinary clock is within seconds.
const skewWorthTelling = 5 * time.Minute

// wall is the laptop's clock without a monotonic reading: that one stops while a laptop sleeps.
func wall() time.Time { return time.Now().Round(0) }

// answeredAt is AWS's clock at an answer (its Date header, in whole seconds); the laptop's if there was none.
func answeredAt(m middleware.Metadata) time.Time {
	if t, ok := awsmiddleware.GetServerTime(m); ok {
		return t.UTC()
	}
	return wall().UTC()
}

// clockHint names a wrong clock, seen in the Date header of the answer that refused the credentials: EC2 sends
// RequestExpired for a wrong clock and for expired credentials alike.
func clockHint(err error) string {
	off, ok := ClockOf(err)
	if !ok {
		return ""
	}
	switch {
	case off > skewWorthTelling:
		return fmt.Sprintf("The clock of this computer is %s ahead of AWS's: set it.", off.Round(time.Minute))
	case off < -skewWorthTelling:
		return fmt.Sprintf("The clock of this computer is %s behind AWS's: set it.", (-off).Round(time.Minute))
	default:
		return ""
	}
}
