package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// usage is what a process has used.
type usage struct {
	Wall time.Duration // from its start until it was gone
	CPU  time.Duration // of user and system, with the children that it has waited for
	// Peak is the most memory that was resident at a time, in bytes, 0 where it ended before anybody looked. It is what the
	// kernel says of the process itself: the figure of wait4 counts what its parent had when it forked.
	Peak int64
}

// lookEvery is how often the memory is asked for. The kernel keeps the peak, so only what comes after the last look is missed.
const lookEvery = 10 * time.Millisecond

// measure runs a command on a host to its end, with its output in a file of the folder, and kills it and all that it has started
// after limit. An error is why it did not end well, with the end of what it had to say.
func measure(ctx context.Context, host *ftptest.Host, command *exec.Cmd, folder string, limit time.Duration) (usage, error) {
	output, err := os.Create(filepath.Join(folder, "output"))
	if err != nil {
		return usage{}, err
	}
	defer output.Close()
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	if err := host.Start(command); err != nil {
		return usage{}, err
	}
	ended := make(chan error, 1)
	var used usage
	go func() {
		err := command.Wait()
		used.Wall = time.Since(began)
		ended <- err
	}()
	peak := watchMemory(ctx, command.Process.Pid, ended, &err)
	used.Peak = peak
	used.CPU = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return used, fmt.Errorf("not done after %s, ended; %s", limit, lastWords(output.Name()))
	case ctx.Err() != nil:
		return used, ctx.Err()
	case err != nil:
		return used, fmt.Errorf("%w; %s", err, lastWords(output.Name()))
	}
	return used, nil
}

// watchMemory returns the peak once the process has ended, of which the outcome is result, and ends it with ctx.
func watchMemory(ctx context.Context, pid int, ended <-chan error, result *error) (peak int64) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for done := ctx.Done(); ; {
		select {
		case *result = <-ended:
			syscall.Kill(-pid, syscall.SIGKILL) // what it may have left; an error is that there is nothing
			return peak
		case <-done:
			syscall.Kill(-pid, syscall.SIGKILL)
			done = nil
		case <-ticker.C:
			peak = max(peak, peakOf(pid))
		}
	}
}

// peakOf is the peak of a process that runs, 0 if it does not.
func peakOf(pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	return peakIn(status)
}

// peakIn finds the peak in the status of a process as proc(5) has it.
func peakIn(status []byte) int64 {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			number, _, _ := strings.Cut(strings.TrimSpace(string(rest)), " ")
			if kilobytes, err := strconv.ParseInt(number, 10, 64); err == nil {
				return kilobytes << 10
			}
		}
	}
	return 0
}

// lastWords is the end of a file of text, on one line.
func lastWords(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	words := strings.Join(strings.Fields(string(text)), " ")
	const longest = 300
	if len(words) > longest {
		words = "..." + words[len(words)-longest:]
	}
	if words == "" {
		return "it said nothing"
	}
	return "it said: " + words
}
