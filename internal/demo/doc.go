// Package demo shows the whole program at work without an AWS account, a network or privileges: a simulated AWS on a
// loopback socket, a real SSH server as the cluster's primary node, a gate before it that drops every TCP connection
// whose source address the security group's rules do not admit, HTTPS echoes, and a laptop that moves.
//
// [Story] starts the built program as child processes, tells what happens as it happens, and returns an error unless
// every step was really observed. [Serve] keeps such a world up for trying commands by hand. [World] is the world
// itself, for tests.
//
// What judges does not share code with what is judged: the gate and the story read the rules over the API with a client
// of their own, and decide with a matcher of their own.
package demo
