package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
)

// stopMark is left beside the state file when people were told that the agent cannot work: the state file itself may be what is broken.
type stopMark struct {
	When   time.Time `json:"when"`
	Reason string    `json:"reason"`
}

const (
	stopMarkName = "stopped.json"
	stoppedKey   = "stopped"
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
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, stopMarkName), text, 0o600)
}

func removeStopMark(folder string) error { return os.Remove(filepath.Join(folder, stopMarkName)) }

// afterStop makes the stop of an agent before a problem that was told and is over by now, and reports whether there was one.
func (s *alerts) afterStop(now time.Time) bool {
	mark := readStopMark(s.agent.cfg.Agent.StateDir)
	if mark.When.IsZero() {
		return false
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
