package ftpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// fault is something that a server does after the login, and what comes of it.
type fault struct {
	name     string
	features string       // of FEAT, with commas
	secure   *ftptest.TLS // the session is protected
	script   steps
	change   func(*ftpclient.Options)
	do       func(context.Context, *ftpclient.Conn) error
	lost     bool // the connection cannot be used afterwards
	want     outcome
	text     string // a part of the error
}

func (f fault) run(t *testing.T) {
	t.Parallel()
	begin, whole := open, session
	var changes []func(*ftpclient.Options)
	if f.secure != nil {
		begin = func(_ string, then steps) steps { return secureOpen(f.secure, then) }
		whole = func(_ string, then steps) steps { return secureSession(f.secure, then) }
		changes = append(changes, secure)
	}
	if f.change != nil {
		changes = append(changes, f.change)
	}
	script := whole(f.features, f.script)
	if f.lost {
		script = begin(f.features, f.script)
	}
	conn, _ := connect(t, script, changes...)
	start := time.Now()
	err := f.do(t.Context(), conn)
	if took := time.Since(start); took > atOnce {
		t.Errorf("it took %s", took)
	}
	f.want.check(t, err)
	if f.text != "" && (err == nil || !strings.Contains(err.Error(), f.text)) {
		t.Errorf("%v does not say %q", err, f.text)
	}
	if conn.Usable() == f.lost {
		t.Errorf("usable afterwards: %v", !f.lost)
	}
}

func runFaults(t *testing.T, faults []fault) {
	ftptest.Leaks(t)
	t.Run("all", func(t *testing.T) {
		for _, f := range faults {
			t.Run(f.name, f.run)
		}
	})
}

// The operations of the rows.

func getting(want string) func(context.Context, *ftpclient.Conn) error {
	return func(ctx context.Context, conn *ftpclient.Conn) error {
		content, _, err := get(ctx, conn, "/f")
		if err == nil && content != want {
			return fmt.Errorf("got %d bytes, want %d", len(content), len(want))
		}
		return err
	}
}

func putting(r func() io.Reader) func(context.Context, *ftpclient.Conn) error {
	return func(ctx context.Context, conn *ftpclient.Conn) error {
		_, err := put(ctx, conn, "/f", r())
		return err
	}
}

func endless() io.Reader { return zeros{} }

func hello() io.Reader { return strings.NewReader("hello") }

func pinging(ctx context.Context, conn *ftpclient.Conn) error { return conn.Noop(ctx) }

func sizing(ctx context.Context, conn *ftpclient.Conn) error {
	_, err := conn.Size(ctx, "/f")
	return err
}

func timing(ctx context.Context, conn *ftpclient.Conn) error {
	_, err := conn.ModTime(ctx, "/f")
	return err
}

// TestFaultsOfReplies is about what the server says, when, and in which pieces. More of it is
// in TestDownload, TestUpload and TestLogin; what can happen at any reply is in
// TestTheServerFailsAtAnyStep.
func TestFaultsOfReplies(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<16)
	connection := ftpclient.ClassConnection
	runFaults(t, []fault{
		{name: "226 comes before the last byte of large data", do: getting(large),
			script: steps{passive, {Expect: "RETR /f", Send: "150 go\n226 done", Data: &ftptest.Data{Send: large, End: ftptest.Close}}}},
		{name: "226 comes before the end of the data", do: getting("hello"),
			script: steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hello"}}, {Send: "226 done"},
				{Data: &ftptest.Data{End: ftptest.Close}}}},
		{name: "226 comes before the server has read the upload", do: putting(hello),
			script: steps{passive, {Expect: "STOR /f", Send: "150 go\n226 done"},
				{Data: &ftptest.Data{Receive: ftptest.All, Want: "hello", End: ftptest.Close}}}},
		{name: "all replies of a transfer and the next come in one segment", do: getting("hello"), lost: true,
			script: steps{passive, {Expect: "RETR /f", Data: &ftptest.Data{Send: "hello", End: ftptest.Close}},
				{Send: "150 go\n226 done\n200 what for?"}, {End: ftptest.Close}}},
		{name: "150 may come twice", do: getting("hello"),
			script: steps{passive, {Expect: "RETR /f", Send: "150 go\n150 go on", Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}},
		{name: "150 is the last word about a whole download", do: getting("hello"), lost: true, change: impatient,
			script: steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, {Send: "150 went"}},
			want:   outcome{is: ftpclient.ErrUnconfirmed, class: connection}},
		{name: "150 is the last word about a whole upload", do: putting(hello), lost: true, change: impatient,
			script: steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, Want: "hello", End: ftptest.Close}}, {Send: "150 went"}},
			want:   outcome{is: ftpclient.ErrUnconfirmed, class: connection}},
		{name: "226 at once and no data at all is a stall and no empty file", do: getting(""), change: impatient,
			script: steps{passive, {Expect: "RETR /f", Send: "226 done"}},
			want:   outcome{is: ftpclient.ErrStalled, class: connection}},
		{name: "a command may have a preliminary reply", do: pinging, script: talk("NOOP", "120 soon\n200 here")},
		{name: "a session that was idle too long", do: pinging, lost: true,
			script: steps{{Expect: "NOOP", Send: "421 Timeout (900 seconds): closing control connection.", End: ftptest.Close}},
			want:   outcome{is: ftpclient.ErrClosing, code: 421, class: connection}},
		{name: "farewell in the middle of a download", do: getting("hello"), lost: true,
			script: steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hel"}},
				{Send: "421 Going down", End: ftptest.Close}},
			change: impatient, want: outcome{is: ftpclient.ErrClosing, code: 421, class: connection}},
		{name: "farewell in the middle of an upload, and the data end", do: putting(endless), lost: true,
			script: steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 10}},
				{Send: "421 Going down", Data: &ftptest.Data{End: ftptest.Reset}, End: ftptest.Close}},
			want: outcome{is: ftpclient.ErrClosing, code: 421, class: connection}},
		{name: "the control connection is reset in the middle of a download that goes on", do: getting("hello"), lost: true,
			script: steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hel"}},
				{Data: &ftptest.Data{Send: "lo", End: ftptest.Close}, End: ftptest.Reset}},
			want: outcome{class: connection}},
		{name: "both connections are reset in the middle of an upload", do: putting(endless), lost: true,
			script: steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 10, End: ftptest.Reset}, End: ftptest.Reset}},
			want:   outcome{class: connection}},
		{name: "the reply to a login comes after the session: 530 at a command", do: pinging, script: talk("NOOP", "530 Please login"),
			want: outcome{code: 530, class: connection}},
		{name: "REST that stays behind a refused transfer is taken back",
			do: func(ctx context.Context, conn *ftpclient.Conn) error {
				_, err := conn.Retrieve(ctx, "/f", 7)
				return err
			},
			script: steps{passive}.then(talk("REST 7", "350 ok", "RETR /f", "450 busy", "REST 0", "350 ok")...),
			want:   outcome{code: 450, class: ftpclient.ClassRetry}},
	})
}

// TestFaultsOfDataChannels is about ports. More of it is in TestModesOfData.
func TestFaultsOfDataChannels(t *testing.T) {
	pasv := ftptest.Step{Expect: "PASV", Passive: true}
	retrieve := steps{{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}
	noEPSV := func(o *ftpclient.Options) { o.Facts.EPSVRefused = true }
	faults := []fault{
		{name: "the server accepts late", do: getting("hello"),
			script: steps{passive, {Expect: "RETR /f", Send: "150 go"}, {Delay: 100 * time.Millisecond,
				Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}},
		{name: "the address of PASV is a private one, and is not believed", do: getting("hello"), change: noEPSV,
			script: steps{{Expect: "PASV", Passive: true, Send: "227 here (10,1,2,3,{bytes})"}}.then(retrieve...)},
		{name: "the address of PASV is somebody else's, and is not connected to", do: getting("hello"), change: noEPSV,
			script: steps{{Expect: "PASV", Passive: true, Send: "227 here (192,0,2,1,{bytes})"}}.then(retrieve...)},
		{name: "the address of PASV is 0.0.0.0", do: getting("hello"), change: noEPSV,
			script: steps{{Expect: "PASV", Passive: true, Send: "227 here 0,0,0,0,{bytes}"}}.then(retrieve...)},
		{name: "the server tells neither port", do: getting(""), change: passiveOnly,
			script: talk("EPSV", "229 soon", "PASV", "227 soon"), want: outcome{class: ftpclient.ClassSetup}, text: "no six numbers"},
		{name: "the port belongs to somebody else, who talks", do: getting("hello"),
			script: steps{{Expect: "EPSV", Send: fmt.Sprintf("229 (|||%d|)", stranger(t))},
				{Expect: "RETR /f", Send: "150 go"}, {Send: "425 Nobody came"}},
			want: outcome{code: 425, class: ftpclient.ClassConnection}},
		{name: "the port belongs to somebody else, who has no certificate", do: getting("hello"),
			secure: &ftptest.TLS{Config: certified(t, tls.VersionTLS13)}, lost: true,
			script: steps{{Expect: "EPSV", Send: fmt.Sprintf("229 (|||%d|)", stranger(t))},
				{Expect: "RETR /f", Send: "150 go"}, {Delay: 200 * time.Millisecond, Send: "425 Nobody came"}},
			want: outcome{is: ftpclient.ErrInsecure, code: 425, class: ftpclient.ClassSetup}},
		{name: "many strangers call first in active mode", do: getting("hello"),
			change: activeOnly,
			script: surveyed.then(provenWay("/", "PORT")...).then(steps{{Expect: "PORT *", Send: "200 ok"}, {Expect: "RETR /f", Send: "150 go"},
				{Data: &ftptest.Data{From: "127.0.0.2", End: ftptest.Reset}},
				{Data: &ftptest.Data{From: "127.0.0.3", Send: "evil", Receive: ftptest.All, End: ftptest.Close}},
				{Data: &ftptest.Data{From: "127.0.0.4", Receive: ftptest.All, End: ftptest.Close}},
				{Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}...)},
	}
	for _, text := range []string{"229 (|||0|)", "229 (|||65536|)", "229 (|||-1|)", "229 (||||)", "229 (|||99999999999999999999|)", "229 ()",
		"229 (|||21x|)", "229 |||2121|", "229 (|1|127.0.0.1|2121|)", "229"} {
		faults = append(faults, fault{name: "EPSV with a port that is none gives way to PASV: " + text, do: getting("hello"),
			script: talk("EPSV", text).then(pasv).then(retrieve...)})
	}
	for _, text := range []string{"227 (127,0,0,1,0,0)", "227 (127,0,0,1,256,1)", "227 (127,0,0,1,1)", "227 (127.0.0.1.4.5)", "227 (,,,,,)", "227"} {
		faults = append(faults, fault{name: "PASV with an address that is none: " + text, do: getting(""), change: func(o *ftpclient.Options) { passiveOnly(o); noEPSV(o) },
			script: talk("PASV", text, "EPSV", "500 what?"), want: outcome{class: ftpclient.ClassSetup}, text: "no data channel"})
	}
	runFaults(t, faults)
}

// TestAPortThatNeverAnswersGivesWayToTheNextMode is what a firewall does.
func TestAPortThatNeverAnswersGivesWayToTheNextMode(t *testing.T) {
	ftptest.Need(t, "deaf port")
	ftptest.Leaks(t)
	port := ftptest.DeafPort(t)
	retrieve := steps{{Expect: "PASV", Passive: true}, {Expect: "RETR /f", Send: "150 go",
		Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}
	script := talk("EPSV", fmt.Sprintf("229 (|||%d|)", port)).then(replaced()...).then(retrieve...)
	conn, _ := connect(t, session("", script), func(o *ftpclient.Options) { passiveOnly(o); o.ConnectTimeout = time.Second })
	if err := getting("hello")(t.Context(), conn); err != nil {
		t.Error(err)
	}
	conn.Close()

	for name, deaf := range map[string]steps{
		"EPSV": talk("EPSV", fmt.Sprintf("229 (|||%d|)", port)),
		"PASV": talk("EPSV", "500 what?", "PASV", fmt.Sprintf("227 (127,0,0,1,%d,%d)", port>>8, port&0xff)),
	} {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		reached := make(chan struct{})
		over := make(chan struct{})
		conn, _ := connect(t, open("", deaf.then(ftptest.Step{Call: func() { close(reached) }, Hold: over, End: ftptest.Close})))
		start := time.Now()
		go func() {
			<-reached
			cancel(why)
		}()
		outcome{is: why, class: ftpclient.ClassCancelled}.check(t, getting("")(ctx, conn))
		if took := time.Since(start); took > atOnce {
			t.Errorf("%s: a connect went on for %s after the end of its context", name, took)
		}
		close(over)
		conn.Close()
	}
}

// stranger is somebody else's server: it says something at once and hangs up.
func stranger(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().(*net.TCPAddr).Port
}

// TestFaultsOfStreams is about data that stop, break off or never end.
func TestFaultsOfStreams(t *testing.T) {
	secured := &ftptest.TLS{Config: certified(t, tls.VersionTLS13)}
	old := &ftptest.TLS{Config: certified(t, tls.VersionTLS12)}
	late := *secured
	late.LateTickets = true
	connection := ftpclient.ClassConnection
	faults := []fault{
		{name: "a download that trickles is no stall, but its context ends it", lost: true,
			change: func(o *ftpclient.Options) { o.StallTimeout = 2 * time.Second },
			do: func(ctx context.Context, conn *ftpclient.Conn) error {
				ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
				defer cancel()
				return getting("")(ctx, conn)
			},
			script: steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Flood: "x", Pace: 20 * time.Millisecond}}},
			want:   outcome{is: context.DeadlineExceeded, class: connection}},
		{name: "a reply that trickles has an end", lost: true, do: pinging, change: impatient,
			script: steps{{Expect: "NOOP", Send: "200-I"}, {Pace: time.Millisecond, Flood: " think\r\n"}},
			want:   outcome{is: ftpclient.ErrTimeout, class: connection}},
		{name: "a secure upload to a server that never reads stalls", secure: secured, lost: true, do: putting(endless),
			change: func(o *ftpclient.Options) { o.StallTimeout = time.Second },
			script: steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{TLS: secured}}},
			want:   outcome{is: ftpclient.ErrStalled, class: connection}},
		{name: "a secure upload to a server that reads slowly and tells tickets late is whole", secure: &late,
			do: putting(func() io.Reader { return io.LimitReader(zeros{}, 1<<18) }),
			script: steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{TLS: &late, Pace: time.Millisecond,
				Receive: 1 << 18}}, {Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}, {Send: "226 done"}}},
		{name: "an upload to a server that stops reading is told the reason", do: putting(endless),
			script: steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 100_000, End: ftptest.Close}}, {Send: "452 Disk full"}},
			want:   outcome{code: 452, class: ftpclient.ClassLater}},
		{name: "an endless listing is given up", features: "MLSD", lost: true,
			do: func(ctx context.Context, conn *ftpclient.Conn) error {
				conn.LimitListing(1 << 20)
				_, err := conn.List(ctx, "/d")
				return err
			},
			script: steps{cwd, passive, {Expect: "MLSD", Send: "150 go", Data: &ftptest.Data{Flood: strings.Repeat(mlsdLine("a"), 1000)}, End: ftptest.Close}},
			want:   outcome{is: ftpclient.ErrIncomplete, class: ftpclient.ClassRetry}},
		{name: "a listing without an end of its only line is given up", features: "MLSD", lost: true,
			do: func(ctx context.Context, conn *ftpclient.Conn) error {
				conn.LimitListing(1 << 20)
				_, err := conn.List(ctx, "/d")
				return err
			},
			script: steps{cwd, passive, {Expect: "MLSD", Send: "150 go", Data: &ftptest.Data{Flood: strings.Repeat("x", 1<<16)}, End: ftptest.Close}},
			want:   outcome{is: ftpclient.ErrIncomplete, class: ftpclient.ClassRetry}},
		{name: "a listing that is reset is none", features: "MLSD",
			do: func(ctx context.Context, conn *ftpclient.Conn) error {
				_, err := conn.List(ctx, "/d")
				return err
			},
			script: steps{cwd, passive, {Expect: "MLSD", Send: "150 go", Data: &ftptest.Data{Send: mlsdLine("a"), End: ftptest.Reset}}, {Send: "226 done"}},
			want:   outcome{class: connection}},
	}
	for _, version := range []struct {
		name string
		tls  *ftptest.TLS
	}{{"TLS 1.2", old}, {"TLS 1.3", secured}} {
		faults = append(faults,
			fault{name: version.name + ": a download that ends in the middle of a record is cut", secure: version.tls, do: getting("hello"),
				script: steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: version.tls, Send: "hello", End: ftptest.CutRecord}}, {Send: "226 done"}},
				want:   outcome{is: io.ErrUnexpectedEOF, class: connection}},
			fault{name: version.name + ": a download that is reset is cut", secure: version.tls, do: getting("hello"),
				script: steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: version.tls, Send: "hello", End: ftptest.Reset}}, {Send: "226 done"}},
				want:   outcome{class: connection}},
			fault{name: version.name + ": the control connection ends in the middle of a record", secure: version.tls, do: pinging, lost: true,
				script: steps{{Expect: "NOOP", End: ftptest.CutRecord}}, want: outcome{class: connection}},
			fault{name: version.name + ": clear text in the control connection", secure: version.tls, do: pinging, lost: true,
				script: steps{{Expect: "NOOP", Clear: "500 OOPS: vsftpd: died\r\n"}}, want: outcome{is: ftpclient.ErrProtocol, class: connection}, text: "500 O"},
		)
	}
	runFaults(t, faults)
}

// TestFaultsOfValues is about replies that hold something else than they should.
func TestFaultsOfValues(t *testing.T) {
	var faults []fault
	for _, text := range []string{"213", "213 many", "213 -1", "213 0x10", "213 1e3", "213 12 34", "213 99999999999999999999", "213 9223372036854775808", "213 1.5"} {
		faults = append(faults, fault{name: "a size that is none: " + text, do: sizing, script: talk("SIZE /f", text),
			want: outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassConnection}})
	}
	faults = append(faults, fault{name: "the largest size there is", script: talk("SIZE /f", "213 9223372036854775807"),
		do: func(ctx context.Context, conn *ftpclient.Conn) error {
			if size, err := conn.Size(ctx, "/f"); err != nil || size != math.MaxInt64 {
				return fmt.Errorf("size %d: %w", size, err)
			}
			return nil
		}})
	for _, text := range []string{"213", "213 yesterday", "213 20201301000000", "213 20200230000000", "213 20200101250000", "213 2020"} {
		faults = append(faults, fault{name: "a time that is none: " + text, do: timing, script: talk("MDTM /f", text),
			want: outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassConnection}})
	}
	for _, features := range []string{"\x01\x02\xff", ";;;,=,\t", "mdtm", strings.Repeat("X", 5000), "REST STREAM,REST,REST FOO", "AUTH TLS;SSL;"} {
		faults = append(faults, fault{name: fmt.Sprintf("FEAT that says %.20q", features), features: features, do: pinging, script: talk("NOOP", "200 ok")})
	}
	runFaults(t, faults)
}

// TestHostileListingsHoldNoHostileNames: each line is an entry or counted as unparsed, and no
// name leads out of its folder or into another command.
func TestHostileListingsHoldNoHostileNames(t *testing.T) {
	ftptest.Leaks(t)
	names := []string{"..", ".", "../x", "/etc/passwd", "a/b", "a\\b", "a\rDELE b", "a\x00b", "", " ", "\xff\xfe", strings.Repeat("n", 255),
		strings.Repeat("ä", 300), "a\tb", "-rf", "\x1b[2J", "CON", "a\u202eb"}
	for _, form := range []struct {
		name, features, command string
		line                    func(string) string
	}{{"MLSD", "MLSD", "MLSD", mlsdLine}, {"LIST", "", "LIST", unixLine}} {
		t.Run(form.name, func(t *testing.T) {
			text := form.line("harmless")
			for _, name := range names {
				text += form.line(name)
			}
			conn, _ := connect(t, session(form.features, steps{cwd}.then(sent(form.command, text)...)),
				func(o *ftpclient.Options) { o.Facts.ListAll = "no" })
			l, err := conn.List(t.Context(), "/d")
			if err != nil {
				t.Fatal(err)
			}
			if len(l.Entries) == 0 || len(l.Unparsed) == 0 || l.Incomplete == "" {
				t.Errorf("%d entries, unparsed %q, incomplete %q", len(l.Entries), l.Unparsed, l.Incomplete)
			}
			for _, entry := range l.Entries {
				if entry.Name == "" || entry.Name == "." || entry.Name == ".." || strings.ContainsAny(entry.Name, "/\r\n\x00") {
					t.Errorf("name %q", entry.Name)
				}
			}
		})
	}
}

// TestHostileNamesAreNotSent: the server hears nothing of any of them.
func TestHostileNamesAreNotSent(t *testing.T) {
	ftptest.Leaks(t)
	conn, _ := connect(t, session("MLST,MFMT", nil))
	for _, name := range []string{"/a\rDELE b", "/a\nDELE b", "/a\r\nDELE b", "/a\x00", "\n"} {
		ctx := t.Context()
		for op, err := range map[string]error{
			"retrieve": second(conn.Retrieve(ctx, name, 0)), "store": second(conn.Store(ctx, name, 0)),
			"retrieve from an offset": second(conn.Retrieve(ctx, name, 5)),
			"size":                    second(conn.Size(ctx, name)), "time": second(conn.ModTime(ctx, name)),
			"stat": second(conn.Stat(ctx, name)), "list": second(conn.List(ctx, name)),
			"set time": conn.SetModTime(ctx, name, time.Unix(0, 0)),
			"remove":   conn.Remove(ctx, name), "make folder": conn.MakeDir(ctx, name), "remove folder": conn.RemoveDir(ctx, name),
			"rename from": conn.Rename(ctx, name, "/b"), "rename to": conn.Rename(ctx, "/b", name),
		} {
			if !errors.Is(err, ftpclient.ErrUnsendable) || ftpclient.Classify(err) != ftpclient.ClassPermanent {
				t.Errorf("%s %q: %v, want %v", op, name, err, ftpclient.ErrUnsendable)
			}
		}
	}
	if !conn.Usable() {
		t.Error("the connection was given up")
	}
}

func second[T any](_ T, err error) error { return err }

// TestAServerThatNeverReadsCommands: a pipe takes no byte that nobody reads.
func TestAServerThatNeverReadsCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := ftptest.NewPipeScript(t, append(open("", nil), ftptest.Step{Delay: time.Hour, End: ftptest.Close})...)
		o := testOptions()
		o.DialContext = server.Dial
		conn := dial(t, t.Context(), server.Addr, o)
		start := time.Now()
		if err := conn.Noop(t.Context()); ftpclient.Classify(err) != ftpclient.ClassConnection {
			t.Errorf("%v is classified %s", err, ftpclient.Classify(err))
		}
		if took := time.Since(start); took > 31*time.Second {
			t.Errorf("it took %s", took)
		}
		if conn.Usable() {
			t.Error("the connection is used on")
		}
		conn.Close()
		server.Wait()
	})
}

// TestTheDefaultsEndEveryWait has the clock of a bubble run through the real time-outs.
func TestTheDefaultsEndEveryWait(t *testing.T) {
	for i, step := range session("", nil) {
		if step.Expect == "QUIT" {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			before := session("", nil)[:i]
			server := ftptest.NewPipeScript(t, append(before, ftptest.Step{Expect: step.Expect}, ftptest.Step{Delay: time.Hour, End: ftptest.Close})...)
			start := time.Now()
			_, err := ftpclient.Dial(t.Context(), server.Addr, ftpclient.Options{User: "ferry", Password: "secret", TLS: ftpclient.TLSNone, DialContext: server.Dial})
			outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassUnavailable}.check(t, err)
			if took := time.Since(start); took > time.Minute {
				t.Errorf("step %d, %s: it took %s", i, step.Expect, took)
			}
			server.Wait()
		})
	}
}
