// Package doctor examines a server: can it be reached, what protects it, which data connections
// get through, who this machine is outside, and what each feature is worth, tried and not
// believed. The result is a Report, a value; Text prints it for people.
//
// The examination has connections of its own, few at a time, knows nothing of the state of the agent,
// and touches no file but those in a folder that it makes and removes. Agents that run beside it take that
// folder for none of theirs. A refused password is not tried again.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient"
)

// Patient is the server to examine and how.
type Patient struct {
	Server *config.Server
	// Client is how the agent would connect. The Facts in it should be empty, so that everything
	// is looked at anew.
	Client ftpclient.Options
	// Folders are where the scratch folder may be made; the first that lets it be made is taken.
	// Relative ones begin at the folder of the login.
	Folders []string
	// Writes: the agent uploads to this server, so that one that takes no files is a problem.
	Writes bool
	// Beside: the agent is running. What would take connections away from it is not tried.
	Beside bool
	// Progress, if not nil, is told what is being looked at.
	Progress func(what string)
}

// Examine looks at everything. When ctx ends it stops, cleans up, and returns what it has.
func Examine(ctx context.Context, p Patient) Report {
	began := time.Now()
	e := newExamination(p)
	e.examine(ctx)
	e.close(ctx)
	if ctx.Err() != nil {
		e.problem(Interrupted, "the examination was interrupted", "")
	}
	for _, problem := range e.report.Problems {
		e.report.Outcome = Worst(e.report.Outcome, problem.Kind)
	}
	e.report.Settings = recommend(&e.report, p.Server)
	e.report.TOML = snippet(p.Server, e.report.Settings)
	e.report.Took = Span(time.Since(began))
	return e.report
}

// examination is the way to a report.
type examination struct {
	Patient
	report   Report
	recorder *recorder
	conn     *ftpclient.Conn // nil before the login
	lives    int             // how many connections may be taken in place of lost ones
	scratch  string          // absolute, "" for none
	ours     bool            // it was seen to be empty: what is in it is ours
	data     bool            // data connections work
	implicit bool            // a server that did not greet speaks TLS from the first byte
	full     error           // the server has no room for more, nil where it has

	failed    []ftpclient.DataAttempt // the ways that do not
	dataEnded error                   // why they were not all tried, if none works
}

func newExamination(p Patient) *examination {
	e := &examination{Patient: p, recorder: newRecorder(p.Client), lives: 6}
	if e.Progress == nil {
		e.Progress = func(string) {}
	}
	e.report = Report{
		Server: p.Server.Name, Address: p.Server.Address, Outcome: Well,
		Features: []Feature{}, Problems: []Problem{}, Notes: []string{},
	}
	return e
}

// examine goes on until a step fails without which the next ones make no sense.
func (e *examination) examine(ctx context.Context) {
	e.Progress("the way to " + e.Server.Address)
	e.resolve(ctx)
	err := e.login(ctx)
	if ctx.Err() != nil {
		return
	}
	if ftpclient.Classify(err) != ftpclient.ClassUnavailable {
		e.Progress("TLS")
		e.lookAtTLS(ctx)
	}
	if err != nil {
		e.implicit = e.isImplicit(ctx, err)
		e.cannotLogIn(err)
		return
	}
	e.makeScratch(ctx)
	e.tryWays(ctx)
	e.survey(ctx)
	e.explainChannels(ctx)
	e.lookAtResumption(ctx)
	e.proveScratch(ctx)
	e.runProbes(ctx)
}

// close removes the scratch folder, whatever has happened, and ends the connection.
func (e *examination) close(ctx context.Context) {
	if e.conn == nil {
		return
	}
	e.removeScratch(ctx)
	e.conn.Close()
	e.recorder.notes(&e.report)
}

func (e *examination) problem(kind Outcome, what, cure string) {
	e.report.Problems = append(e.report.Problems, Problem{Kind: kind, What: cleanLines(what), Cure: clean(cure)})
}

func (e *examination) note(format string, args ...any) {
	e.report.Notes = append(e.report.Notes, clean(fmt.Sprintf(format, args...)))
}

// errNoLives: too many connections were lost over the probes.
var errNoLives = errors.New("the server has ended too many connections, this is given up")

// alive returns a connection that can be used, another one if the last has died.
func (e *examination) alive(ctx context.Context) (*ftpclient.Conn, error) {
	if e.conn.Usable() {
		return e.conn, nil
	}
	if e.lives == 0 {
		return nil, errNoLives
	}
	e.lives--
	conn, err := again(ctx, e.conn, 4*time.Second)
	if err != nil {
		return nil, err
	}
	e.conn.Close()
	e.conn = conn
	return conn, nil
}

// again logs in once more. Servers count connections that have just ended for a moment more, so
// that one which is full is asked a few times, with pauses of up to longest.
func again(ctx context.Context, last *ftpclient.Conn, longest time.Duration) (conn *ftpclient.Conn, err error) {
	for pause := 200 * time.Millisecond; pause <= longest; pause *= 2 {
		if conn, err = last.Redial(ctx); ftpclient.Classify(err) != ftpclient.ClassBusy {
			return conn, err
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, err
		}
	}
	return nil, err
}
