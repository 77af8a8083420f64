package main

import (
	"bufio"
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/ftpferry/ftpferry/agent/control"
)

// printing lets print write what may be long. Who has read enough and closes the pipe, as "head" does, is not told of an error.
func (p *program) printing(print func(out *bufio.Writer) error) error {
	signal.Ignore(syscall.SIGPIPE) // then a write fails instead of ending the process
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	err := print(out)
	flushErr := out.Flush() // or what went wrong before
	switch {
	case errors.Is(flushErr, syscall.EPIPE):
		return nil
	case err == nil && flushErr != nil:
		return exit{control.ExitNeedsPerson, fmt.Errorf("standard output: %w", flushErr)}
	}
	return err
}

// notAgain keeps withState from trying again what has printed something already.
func notAgain(err error, printed bool) error {
	if err != nil && printed && errors.Is(err, control.ErrGone) {
		return exit{control.ExitUnfinished, fmt.Errorf("this is not all: %v", err)}
	}
	return err
}
