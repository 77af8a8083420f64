package service

import (
	"context"
	"fmt"
	"io"
	"strings"

	manager "github.com/kardianos/service"
)

// managed is a body of work in the form that the service control manager of Windows wants.
type managed struct {
	begin func()
	end   func() // returns when the work has ended
}

// Start implements the interface of the library.
func (m managed) Start(manager.Service) error {
	m.begin()
	return nil
}

// Stop implements the interface of the library.
func (m managed) Stop(manager.Service) error {
	m.end()
	return nil
}

// Run calls body. Where the program was started by the service control manager of Windows it does so as that demands: the context
// ends when the service is to stop, log is the event log, and leave has to end the process when body ends by itself. Elsewhere log is
// nil and leave is not called.
func Run(ctx context.Context, body func(ctx context.Context, log io.Writer) error, leave func(error)) error {
	if !isManaged() {
		return body(ctx, nil)
	}
	var log manager.Logger // set before anything begins
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	var result error
	s, err := manager.New(managed{
		begin: func() {
			go func() {
				err := body(working, eventLog{log})
				if working.Err() == nil {
					leave(err)
				}
				ended <- err
			}()
		},
		end: func() {
			stop()
			result = <-ended
		},
	}, &manager.Config{Name: name})
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	if log, err = s.SystemLogger(nil); err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	if err := s.Run(); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return result
}

// eventLog writes each line as an event, of a kind that fits the level in it.
type eventLog struct{ to manager.Logger }

// Write implements io.Writer.
func (l eventLog) Write(line []byte) (int, error) {
	text := strings.TrimRight(string(line), "\n")
	tell := l.to.Info
	switch {
	case strings.Contains(text, `"level":"ERROR"`) || strings.Contains(text, "level=ERROR"):
		tell = l.to.Error
	case strings.Contains(text, `"level":"WARN"`) || strings.Contains(text, "level=WARN"):
		tell = l.to.Warning
	}
	if err := tell(text); err != nil {
		return 0, err
	}
	return len(line), nil
}
