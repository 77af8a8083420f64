//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

// errElsewhere is all that there is to say.
var errElsewhere = errors.New("this needs the network namespaces of Linux; run it there, as root")

func usable() error { return errElsewhere }

func compare(context.Context, options, io.Writer) (report, error) { return report{}, errElsewhere }
