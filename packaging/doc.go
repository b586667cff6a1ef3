// Package packaging renders the files that make emr-accessd a service of the user: a systemd unit and a LaunchAgent.
//
// The functions are pure, so that what is installed can be read in a golden file and tested on any system. Nothing
// external reaches a unit unquoted: arguments and environment are data, and what cannot be data is refused.
package packaging
