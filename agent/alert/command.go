package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

const (
	// linger is how long the output of a command is waited for when that has ended, as others may still hold it open.
	linger = time.Second
	// mostOutput is how much of what it writes is kept, of its beginning, in bytes.
	mostOutput = 4 << 10
)

// command hands messages to a program, as JSON on its standard input.
type command struct{ arguments []string }

// Send implements Sender. Success is that the program ends with 0.
func (c command) Send(ctx context.Context, m Message) (string, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, c.arguments[0], c.arguments[1:]...)
	var output beginning
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(body, '\n')), &output, &output
	cmd.WaitDelay = linger
	cmd.Env = append(passedEnvironment(), "FTPFERRY_ALERT="+m.Channel)
	if runtime.GOOS == "windows" {
		cmd.Env = append(cmd.Env, "NoDefaultCurrentDirectoryInExePath=1")
	}
	err = cmd.Run()
	said := oneLine(strings.TrimSpace(string(output.text)), longestSummary)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay), err == nil:
		return said, nil
	case said != "":
		return "", fmt.Errorf("the program failed: %w: %s", err, said)
	}
	return "", fmt.Errorf("the program failed: %w", err)
}

// beginning keeps that of what is written to it.
type beginning struct{ text []byte }

func (b *beginning) Write(p []byte) (int, error) {
	b.text = append(b.text, p[:min(len(p), mostOutput-len(b.text))]...)
	return len(p), nil
}
