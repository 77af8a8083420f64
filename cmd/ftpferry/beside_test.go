package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
)

// TestNobodyWorksBesideAnotherAgentBySudo: the state of root is another one than that of who calls sudo, but the folders are the same.
func TestNobodyWorksBesideAnotherAgentBySudo(t *testing.T) {
	t.Parallel()
	kim, cfg, _ := alone(t, "")
	home := t.TempDir()
	cfg.Agent.StateDir = filepath.Join(home, ".local", "state", "ftpferry") // as it is without state_dir
	text, err := os.ReadFile(kim.configPath)
	if err != nil {
		t.Fatal(err)
	}
	path, others := filepath.Join(filepath.Dir(kim.configPath), "unset.toml"), filepath.Join(filepath.Dir(kim.configPath), "others.toml")
	unset := strings.Replace(string(text), `state_dir = "state"`, "", 1)
	write(t, path, unset)
	write(t, others, strings.Replace(unset, "[sync.web]", "[sync.mail]", 1))
	root := t.TempDir()
	bySudo := func(arguments ...string) (code int, told string) {
		var out bytes.Buffer
		p := &program{stdout: &out, stderr: &out, homeOf: func(name string) string { return map[string]string{"kim": home}[name] }}
		p.env = func(name string) string {
			return map[string]string{"SUDO_USER": "kim", "XDG_STATE_HOME": root, "ProgramData": root}[name]
		}
		c := p.command()
		c.SetArgs(arguments)
		limited, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // one that is not refused goes on
		defer cancel()
		return p.exitCode(c.ExecuteContext(limited)), out.String()
	}
	mine := filepath.Join(root, "ftpferry", stateFile)

	err = kim.withOneService(t.Context(), cfg, kim.logger(cfg, slog.LevelError+1), func(ctx context.Context, s control.Service) error {
		waitFor(t, "the agent to be asked", func() bool {
			_, err := control.Dial(ctx, cfg.Agent.StateDir)
			return err == nil
		})
		for _, arguments := range [][]string{{"run"}, {"once"}, {"pause"}, {"status"}, {"queue"}} {
			if code, told := bySudo(append(arguments, "-c", path)...); code != control.ExitConfiguration || !strings.Contains(told, `an agent of kim (its state is in `+cfg.Agent.StateDir+`) works on sync "web"`) {
				t.Errorf("%s beside the agent: %d, %s", arguments[0], code, told)
			}
		}
		if code, told := bySudo("status", "-c", others); code != control.ExitDone || strings.Contains(told, "kim") {
			t.Errorf("for other syncs: %d, %s", code, told)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	hung, err := control.Listen(cfg.Agent.StateDir) // and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	if code, told := bySudo("once", "-c", path); code != control.ExitUnfinished || !strings.Contains(told, "the agent of kim") {
		t.Errorf("beside an agent that hangs: %d, %s", code, told)
	}
	hung.Close()
	if _, err := os.Lstat(mine); err == nil {
		t.Error("there is a second state")
	}
	if code, told := bySudo("status", "-c", path); code != control.ExitDone || !strings.Contains(told, "warning: state_dir is not set: ") || !strings.Contains(told, "that of kim in "+cfg.Agent.StateDir) {
		t.Errorf("beside a state of nobody: %d, %s", code, told)
	}
	if code, told := bySudo("pause", "-c", path); code != control.ExitDone || !strings.Contains(told, "warning: state_dir is not set: ") {
		t.Errorf("where a state is made: %d, %s", code, told)
	}
	if code, told := bySudo("status", "-c", path); code != control.ExitDone || strings.Contains(told, "kim in ") {
		t.Errorf("where it was made: %d, %s", code, told)
	}
	if code, told := bySudo("status", "-c", kim.configPath); code != control.ExitDone || strings.Contains(told, "warning") {
		t.Errorf("where state_dir is set: %d, %s", code, told)
	}
}
