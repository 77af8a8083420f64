package ftpclient_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAnUploadWithoutDataConnectionLeavesNoFile: the way was proven, and fails when it is needed.
// Servers have made the file by then.
func TestAnUploadWithoutDataConnectionLeavesNoFile(t *testing.T) {
	proven := surveyed.then(provenWay("/d", "PORT")...)
	absent := talk("SIZE /d/f", "550 no such file")
	refused := talk("PORT *", "200 ok", "STOR /d/f", "150 go\n425 cannot connect")
	empty := talk("SIZE /d/f", "213 0", "DELE /d/f", "250 gone")
	tests := []struct {
		name   string
		script steps
		do     func(context.Context, *ftpclient.Conn) error // nil for an upload
		change func(*ftpclient.Options)
		warns  bool
	}{
		{name: "the empty file is removed", script: proven.then(absent...).then(refused...).then(empty...)},
		{name: "also if the command is refused at once", script: proven.then(absent...).then(talk("PORT *", "200 ok", "STOR /d/f", "425 cannot connect")...).then(empty...)},
		{name: "on another connection, where the first is lost", change: func(o *ftpclient.Options) { o.ConnectTimeout = 2 * time.Second },
			script: proven.then(absent...).then(talk("PORT *", "200 ok")...).then(ftptest.Step{Expect: "STOR /d/f", Send: "150 go", End: ftptest.Close}).
				then(open("", empty)...)},
		{name: "the beginning of an append", script: proven.then(absent...).then(talk("PORT *", "200 ok", "APPE /d/f", "150 go\n425 cannot connect")...).then(empty...),
			do: func(ctx context.Context, conn *ftpclient.Conn) error {
				_, err := conn.Append(ctx, "/d/f")
				return err
			}},
		{name: "a file with content is somebody else's", script: proven.then(absent...).then(refused...).then(talk("SIZE /d/f", "213 5")...)},
		{name: "the server has made none", script: proven.then(absent...).then(refused...).then(absent...)},
		{name: "what cannot be removed is an event", script: proven.then(absent...).then(refused...).
			then(talk("SIZE /d/f", "213 0", "DELE /d/f", "550 in use")...), warns: true},
		{name: "a file that was there is never removed", script: proven.then(talk("SIZE /d/f", "213 9")...).then(refused...)},
		{name: "nor one of which the server does not tell", script: proven.then(talk("SIZE /d/f", "502 no SIZE")...).then(refused...)},
		{name: "nor one that was empty before", script: proven.then(talk("SIZE /d/f", "213 0")...).then(refused...)},
		{name: "a refusal of the file has made none", script: proven.then(absent...).then(talk("PORT *", "200 ok", "STOR /d/f", "553 no such folder")...)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			change := func(o *ftpclient.Options) {
				activeOnly(o)
				if test.change != nil {
					test.change(o)
				}
				o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			}
			conn, _ := connect(t, session("", test.script), change)
			do := test.do
			if do == nil {
				do = putHello
			}
			if err := do(t.Context(), conn); err == nil {
				t.Error("it worked")
			}
			if !conn.Usable() {
				t.Error("the connection is lost")
			}
			if warned := strings.Contains(log.String(), "may have left an empty file"); warned != test.warns {
				t.Errorf("the log: %s", &log)
			}
		})
	}
}

// TestACallerWhoHasGivenUpDoesNotWaitForTheTidyingUp ends its context while the server is silent.
func TestACallerWhoHasGivenUpDoesNotWaitForTheTidyingUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	conn, _ := connect(t, open("", surveyed.then(provenWay("/d", "PORT")...).then(talk("SIZE /d/f", "550 no such file", "PORT *", "200 ok")...).
		then(ftptest.Step{Expect: "STOR /d/f", Send: "150 go"}, ftptest.Step{Call: cancel, Hold: over, End: ftptest.Close})), activeOnly)
	err := putHello(ctx, conn)
	close(over)
	if ftpclient.Classify(err) != ftpclient.ClassCancelled {
		t.Error(err)
	}
}

// TestAFileIsNotReplacedOverAWayOfWhichNobodyIsSure: of a server that lists nothing to anybody.
func TestAFileIsNotReplacedOverAWayOfWhichNobodyIsSure(t *testing.T) {
	faith := surveyed.then(talk("CWD /d", "250 ok", "PORT *", "200 ok", "NLST", "550 Permission denied", "PORT *", "200 ok", "LIST", "550 Permission denied")...)
	occupied := talk("SIZE /d/f", "213 9")
	replace := occupied.then(storing("PORT")[1:]...)
	tests := []struct {
		name   string
		script steps
		do     func(context.Context, *ftpclient.Conn) error
		fails  bool
	}{
		{"an upload over it is refused", faith.then(occupied...), putHello, true},
		{"an empty one has nothing to lose", faith.then(talk("SIZE /d/f", "213 0")...).then(storing("PORT")[1:]...), putHello, false},
		{"what is appended to loses nothing", faith.then(occupied...).then(talk("PORT *", "200 ok")...).
			then(ftptest.Step{Expect: "APPE /d/f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}, ftptest.Step{Send: "226 done"}),
			func(ctx context.Context, conn *ftpclient.Conn) error {
				transfer, err := conn.Append(ctx, "/d/f")
				if err == nil {
					_, err = transfer.Finish(ctx)
				}
				return err
			}, false},
		{"once it has worked it is known", faith.then(storing("PORT")...).then(replace...),
			func(ctx context.Context, conn *ftpclient.Conn) error {
				return errors.Join(putHello(ctx, conn), putHello(ctx, conn))
			}, false},
		{"what is left of an upload that cannot be resumed is removed", talk("SIZE /d/f", "213 9").then(faith...).then(occupied...).
			then(talk("DELE /d/f", "250 gone")...).then(storing("PORT")...),
			func(ctx context.Context, conn *ftpclient.Conn) error {
				transfer, _, err := conn.ResumeStore(ctx, "/d/f", strings.NewReader("hello"), 5)
				if err == nil {
					transfer.ReadFrom(strings.NewReader("hello"))
					_, err = transfer.Finish(ctx)
				}
				var e *ftpclient.Error
				if errors.As(err, &e) && e.Code == 502 { // the size at the end, which this server does not tell
					err = nil
				}
				return err
			}, false},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if i == len(tests)-1 {
				test.script = test.script.then(talk("SIZE /d/f", "502 no")...)
			}
			conn, _ := connect(t, session("", test.script), activeOnly)
			err := test.do(t.Context(), conn)
			if !test.fails && err != nil || test.fails && (!errors.Is(err, ftpclient.ErrOverwrite) || ftpclient.Classify(err) != ftpclient.ClassPermanent) {
				t.Error(err)
			}
			if !conn.Usable() {
				t.Error("the connection is lost")
			}
		})
	}
}

// TestAnOldProofIsRepeatedBeforeAFileIsReplaced, and not for a new one.
func TestAnOldProofIsRepeatedBeforeAFileIsReplaced(t *testing.T) {
	again := talk("CWD /d", "250 ok", "PORT *", "200 ok").then(names...)
	replaces := storing("PORT")[1:]
	conn, _ := connect(t, session("", surveyed.then(provenWay("/d", "PORT")...).then(storing("PORT")...).
		then(talk("SIZE /d/f", "213 5")...).then(replaces...).
		then(storing("PORT")...).
		then(talk("SIZE /d/f", "213 5")...).then(again...).then(replaces...)), activeOnly)
	for _, age := range []time.Duration{0, 0, time.Hour, time.Hour} {
		conn.AgeProofs(age)
		if err := putHello(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFileIsReplacedOverTheProvenPort: of a range of forwarded ports, others may lead nowhere.
func TestAFileIsReplacedOverTheProvenPort(t *testing.T) {
	var log bytes.Buffer
	script := surveyed.then(provenWay("/d", "PORT")...).then(talk("SIZE /d/f", "213 9")...).then(storing("PORT")[1:]...)
	conn, _ := connect(t, session("", script), activeOnly, func(o *ftpclient.Options) {
		o.Data.ActivePorts = ftpclient.PortRange{First: 30000, Last: 30099}
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	if err := putHello(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	told := regexp.MustCompile(`PORT [0-9,]+`).FindAllString(log.String(), -1)
	if len(told) < 2 || len(slices.Compact(slices.Clone(told))) != 1 {
		t.Errorf("announced %q, want the same port for the upload as for the proof", told)
	}
}
