package agent

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/state"
)

// TestAConfigurationIsRefusedWhileTheAgentStarts, which a large queue makes long: nobody who reads what that is about is in the way of who begins.
func TestAConfigurationIsRefusedWhileTheAgentStarts(t *testing.T) {
	t.Parallel()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	before := time.Now()
	a := New(&config.Config{Agent: config.Agent{StateDir: t.TempDir()}}, db, Options{Logger: slog.New(slog.DiscardHandler), Alerts: true, Ready: stop})
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	a.Refused(errors.New("the file is broken"))
	if is := a.onDisk.Load(); is.taken.Before(before) {
		t.Errorf("the configuration in force was taken %v", is.taken)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestWhatIsWrongWithTheAgentItself.
func TestWhatIsWrongWithTheAgentItself(t *testing.T) {
	t.Parallel()
	a := measured(t)
	look := func() (texts []string) {
		sight := alert.Sight{}
		a.problemsOfAgent(&sight)
		for _, p := range sight.Problems {
			texts = append(texts, string(p.Kind)+" "+p.Key+": "+p.Text)
		}
		return texts
	}
	now, long := time.Now(), time.Now().Add(-2*stuckAfter)
	a.alive.Store(&now)
	if got := look(); len(got) > 0 {
		t.Errorf("nothing is wrong: %q", got)
	}
	a.alive.Store(&long)
	if got := look(); len(got) != 1 || !strings.HasPrefix(got[0], "stopped stuck: the agent is stuck: ") {
		t.Errorf("stuck: %q", got)
	}
	a.alive.Store(&now)
	a.deaf.Store(&webTrouble{now, "cannot listen"})
	a.Refused(errors.New("the file is broken"))
	a.Refused(errors.New("the file is broken"))
	if got := look(); len(got) != 2 || !strings.HasSuffix(got[0], "goes on with the one before: the file is broken") || !strings.HasPrefix(got[1], "configuration configuration/listen: cannot listen") {
		t.Errorf("refused and deaf: %q", got)
	}
	if is := a.onDisk.Load(); is.times != 1 {
		t.Errorf("the same reason counts %d times", is.times)
	}
	a.Refused(errors.New("something else"))
	if is := a.onDisk.Load(); is.times != 2 {
		t.Errorf("another reason: %+v", is)
	}
}
