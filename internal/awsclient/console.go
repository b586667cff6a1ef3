package awsclient

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// maxConsole bounds a console output in bytes. EC2 keeps 64 KB (User Guide, "Instance console output").
const maxConsole = 256 << 10

// ConsoleOutput returns what an instance wrote to its console, decoded; "" when EC2 has nothing yet, which takes
// minutes after a boot. Without latest it is what EC2 stored after the last boot; latest asks for this moment and works only on
// Nitro instances (BadRequest otherwise). It is foreign text of any bytes.
func (c *Client) ConsoleOutput(ctx context.Context, instance string, latest bool) (string, error) {
	const op = "ec2:GetConsoleOutput"
	if err := checkID(op, "instance (i-…)", formInstance, instance); err != nil {
		return "", err
	}
	in := &ec2.GetConsoleOutputInput{InstanceId: &instance}
	if latest {
		in.Latest = aws.Bool(true)
	}
	out, err := read(ctx, c, op, instance, func(ctx context.Context) (*ec2.GetConsoleOutputOutput, error) {
		return c.ec2.GetConsoleOutput(ctx, in)
	})
	if err != nil {
		return "", err
	}
	encoded := aws.ToString(out.Output)
	if base64.StdEncoding.DecodedLen(len(encoded)) > 2*maxConsole {
		return "", unexpected(op, instance, "the console output is larger than any that EC2 keeps")
	}
	text, err := base64.StdEncoding.DecodeString(encoded) // skips line breaks
	if err != nil {
		return "", unexpected(op, instance, fmt.Sprintf("the console output cannot be decoded: %v", err))
	}
	if len(text) > maxConsole {
		return "", unexpected(op, instance, "the console output is larger than any that EC2 keeps")
	}
	return string(text), nil
}
