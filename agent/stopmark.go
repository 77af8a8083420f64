package agent

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
)

// stopMark is left beside the state file when the agent cannot work: the state file itself may be what is broken.
type stopMark struct {
	When   time.Time `json:"when"`
	Reason string    `json:"reason"`
	// Silent: nobody was told by alerts.
	Silent bool `json:"silent,omitempty"`
}

const (
	stopMarkName = "stopped.json"
	stoppedKey   = "stopped"
	// stopMarkSize is what the file has at least, filled up with blanks. A running agent keeps one of blanks alone: the disk may be full when
	// there is something to write.
	stopMarkSize  = 4096
	longestReason = 3000 // bytes
)

// readStopMark returns the zero value if there is none that can be read.
func readStopMark(folder string) (m stopMark) {
	if folder == "" {
		return stopMark{}
	}
	text, err := os.ReadFile(filepath.Join(folder, stopMarkName))
	if err != nil || json.Unmarshal(text, &m) != nil {
		return stopMark{}
	}
	return m
}

func (m stopMark) write(folder string) error {
	m.Reason = m.Reason[:min(len(m.Reason), longestReason)]
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return overwrite(filepath.Join(folder, stopMarkName), text)
}

// removeStopMark leaves the room for the next one.
func removeStopMark(folder string) error {
	if folder == "" { // an agent of a test, whose state is somewhere else
		return nil
	}
	return overwrite(filepath.Join(folder, stopMarkName), nil)
}

// overwrite puts text where the file has its blocks already.
func overwrite(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	text = append(text, bytes.Repeat([]byte{'\n'}, max(stopMarkSize-len(text), 0))...)
	if _, err := file.WriteAt(text, 0); err != nil {
		return err
	}
	if err := file.Truncate(int64(len(text))); err != nil {
		return err
	}
	return file.Sync()
}

// markSilently leaves a mark of a stop of which people are yet to be told, or never are.
func markSilently(folder string, now time.Time, reason error, logger *slog.Logger) {
	if folder == "" {
		return
	}
	mark := stopMark{When: now, Reason: reason.Error(), Silent: true}
	if err := mark.write(folder); err != nil {
		logger.Warn("the reason of the stop is not remembered", "error", err)
	}
}

// afterStop makes the stop of an agent before a problem that was told and is over by now, and reports whether there was one.
func (s *alerts) afterStop(now time.Time) bool {
	mark := readStopMark(s.agent.cfg.Agent.StateDir)
	if mark.When.IsZero() {
		if err := removeStopMark(s.agent.cfg.Agent.StateDir); err != nil {
			s.agent.logger.Warn("no room is kept for the reason of a stop", "error", err)
		}
		return false
	}
	if mark.Silent {
		return true
	}
	p := alert.Problem{Key: stoppedKey, Kind: alert.Stopped, Text: "the agent had stopped: " + mark.Reason, Since: mark.When}
	if s.memory.Told == nil {
		s.memory.Told = map[string]map[string]alert.Told{}
	}
	for name := range s.agent.cfg.Alerts {
		if s.memory.Told[name] == nil {
			s.memory.Told[name] = map[string]alert.Told{}
		}
		s.memory.Told[name][stoppedKey] = alert.Told{Problem: p, At: now}
	}
	return true
}
