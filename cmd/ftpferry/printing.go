package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ftpferry/ftpferry/agent/control"
)

// outlivePipes has writes fail whose reader has gone away, instead of the process being ended in the middle of its work: "once | head"
// goes on to the end. The signal is not ignored, as hooks and other commands would inherit that.
func outlivePipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// errReadEnough: who reads what is printed has closed the pipe.
var errReadEnough = errors.New("nobody reads any more")

// printing lets print write what may be long. Who has read enough and closes the pipe, as "head" does, is not told of an error.
func (p *program) printing(print func(out *bufio.Writer) error) error {
	if err := p.printingAgain(print); !errors.Is(err, errReadEnough) {
		return err
	}
	return nil
}

// printingAgain is printing for who would print more afterwards: it returns errReadEnough.
func (p *program) printingAgain(print func(out *bufio.Writer) error) error {
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	err := print(out)
	flushErr := printed(out.Flush()) // or what went wrong before
	if errors.Is(flushErr, errReadEnough) || err == nil {
		return flushErr
	}
	return err
}

// print writes what may be kept in a file: half of it is an error.
func (p *program) print(text string) error {
	return p.printing(func(out *bufio.Writer) error {
		_, err := out.WriteString(text)
		return err
	})
}

// printed is the error of a write to standard output.
func printed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE):
		return errReadEnough
	}
	return exit{control.ExitNeedsPerson, fmt.Errorf("standard output: %w", err)}
}

// interruptible returns a context that ends with Ctrl+C, SIGTERM, and the terminal, unless it was asked to outlive that (nohup). A
// second signal ends the process at once.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// notAgain keeps withState from trying again what has printed something already.
func notAgain(err error, printed bool) error {
	if err != nil && printed && errors.Is(err, control.ErrGone) {
		return exit{control.ExitUnfinished, fmt.Errorf("this is not all: %v", err)}
	}
	return err
}
