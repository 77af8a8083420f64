package ftpclient_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// closedPassive are passive ways on which nobody listens.
func closedPassive(t *testing.T) steps {
	port := refusedPort(t)
	return talk("EPSV", fmt.Sprintf("229 here (|||%d|)", port), "PASV", fmt.Sprintf("227 here (127,0,0,1,%d,%d)", port>>8, port&0xff))
}

// storing is an upload of hello as a new file, to a server that calls.
func storing(command string) steps {
	return steps{{Expect: "SIZE /d/f", Send: "550 no such file"}, {Expect: command + " *", Send: "200 ok"},
		{Expect: "STOR /d/f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, Want: "hello", End: ftptest.Close}}, {Send: "226 done"}}
}

func putHello(ctx context.Context, conn *ftpclient.Conn) error {
	_, err := put(ctx, conn, "/d/f", strings.NewReader("hello"))
	return err
}

// TestAnActiveWayIsProvenBeforeAnUpload has servers without passive mode. No script has a STOR
// before a data connection was seen to work.
func TestAnActiveWayIsProvenBeforeAnUpload(t *testing.T) {
	prove := func(answer ...ftptest.Step) steps {
		return surveyed.then(talk("CWD /d", "250 ok", "PORT *", "200 ok")...).then(answer...)
	}
	ended := &ftptest.Data{End: ftptest.Close}
	tests := []struct {
		name   string
		script steps
		want   outcome
	}{
		{"by an empty list of names", prove(names...).then(storing("PORT")...), outcome{}},
		{"by names", prove(ftptest.Step{Expect: "NLST", Send: "150 go", Data: &ftptest.Data{Send: "a\r\nb\r\n", End: ftptest.Close}},
			ftptest.Step{Send: "226 done"}).then(storing("PORT")...), outcome{}},
		{"by a connection that comes with a refusal", prove(ftptest.Step{Expect: "NLST", Send: "150 go", Data: ended},
			ftptest.Step{Send: "550 No files found"}).then(storing("PORT")...), outcome{}},
		{"by LIST where NLST is refused", prove(talk("NLST", "550 No files found", "PORT *", "200 ok")...).
			then(ftptest.Step{Expect: "LIST", Send: "150 go", Data: ended}, ftptest.Step{Send: "226 done"}).then(storing("PORT")...), outcome{}},
		{"not at all where nothing is listed", prove(talk("NLST", "550 Permission denied", "PORT *", "200 ok", "LIST", "550 Permission denied")...).
			then(storing("PORT")...), outcome{}},
		{"in the current folder where that of the file is not there", surveyed.then(talk("CWD /d", "550 no such folder", "PORT *", "200 ok")...).
			then(names...).then(talk("SIZE /d/f", "550 no such file", "PORT *", "200 ok", "STOR /d/f", "553 no such folder")...), outcome{code: 553, class: ftpclient.ClassPermanent}},
		{"a server that cannot connect gets no STOR", prove(talk("NLST", "425 cannot connect")...), outcome{class: ftpclient.ClassSetup}},
		{"nor does one that says so after 150", prove(talk("NLST", "150 go\n426 cannot connect")...), outcome{class: ftpclient.ClassSetup}},
		{"the login is lost meanwhile", prove(talk("NLST", "530 log in")...), outcome{code: 530, class: ftpclient.ClassConnection}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session("", test.script), activeOnly)
			test.want.check(t, putHello(t.Context(), conn))
			if !conn.Usable() {
				t.Error("the connection is lost")
			}
		})
	}
}

func TestAProofHoldsForTheSession(t *testing.T) {
	again := storing("PORT")
	conn, _ := connect(t, session("", surveyed.then(provenWay("/d", "PORT")...).then(again...).then(again...)), activeOnly)
	for range 2 {
		if err := putHello(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSilenceCostsTheControlConnection: the server may be waiting for the data connection, and
// the session goes on with a new one, in place.
func TestSilenceCostsTheControlConnection(t *testing.T) {
	ftptest.Need(t, "deaf port")
	silent := talk("EPSV", fmt.Sprintf("229 here (|||%d|)", ftptest.DeafPort(t)))
	mlsd := "MLST type*;size*;modify*;"
	l := `type=file;size=1;modify=20260101000000; a`
	listing := steps{{Expect: "PORT *", Send: "200 ok"}, {Expect: "MLSD", Send: "150 go", Data: &ftptest.Data{Send: l + "\r\n", End: ftptest.Close}}, {Send: "226 done"}}
	replacedBy := func(s steps) steps { return steps{{Expect: "QUIT", Send: "221 bye", End: ftptest.Close}}.then(s...) }
	deaf := func(o *ftpclient.Options) { o.ConnectTimeout = 2 * time.Second }
	tests := []struct {
		name     string
		features string
		script   steps
		do       func(context.Context, *ftpclient.Conn) error
	}{
		{"an upload goes on in another way", "", silent.then(replaced()...).then(surveyed...).then(provenWay("/d", "PORT")...).then(storing("PORT")...), putHello},
		{"a listing enters its folder again", mlsd, talk("CWD /d", "250 ok").then(silent...).then(replacedBy(open(mlsd, nil))...).
			then(talk("CWD /d", "250 ok")...).then(surveyed...).then(provenWay("/d", "PORT")...).then(talk("CWD /d", "250 ok")...).then(listing...),
			func(ctx context.Context, conn *ftpclient.Conn) error {
				found, err := conn.List(ctx, "/d")
				if err == nil && len(found.Entries) != 1 {
					err = fmt.Errorf("%+v", found)
				}
				return err
			}},
		{"a server that still counts the old one is asked again", "",
			silent.then(replacedBy(steps{{Send: "421 There are too many connections from your internet address.", End: ftptest.Close}})...).
				then(open("", surveyed)...).then(provenWay("/d", "PORT")...).then(storing("PORT")...), putHello},
		{"a server that does not know STAT any more after the first", "", silent.then(replaced()...).then(talk("STAT", "502 no")...).
			then(provenWay("/d", "PORT")...).then(storing("PORT")...), putHello},
		{"a STAT that ends the connection is the end of nothing", "", silent.then(replaced()...).then(ftptest.Step{Expect: "STAT", End: ftptest.Close}).
			then(open("", nil)...).then(provenWay("/d", "PORT")...).then(storing("PORT")...), putHello},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session(test.features, test.script), deaf)
			if err := test.do(t.Context(), conn); err != nil {
				t.Fatal(err)
			}
			if got := conn.Facts().Channels[0]; got.Way != "direct PORT" || got.Network != loopback {
				t.Errorf("remembered %+v", got)
			}
		})
	}
}

// TestAServerThatDiesOfSTATIsNotAskedForEver has one that hangs up each time.
func TestAServerThatDiesOfSTATIsNotAskedForEver(t *testing.T) {
	dying := ftptest.Step{Expect: "STAT", End: ftptest.Close}
	rest := provenWay("/d", "PORT").then(storing("PORT")...)
	facts := ftpclient.Facts{}
	for i, s := range []steps{steps{dying}.then(open("", rest)...), steps{dying}.then(open("", rest)...), rest} {
		conn, _ := connect(t, session("", s), activeOnly, func(o *ftpclient.Options) { o.Facts = facts })
		if err := putHello(t.Context(), conn); err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
		facts = conn.Facts()
		conn.Close()
	}
}

// TestCloseEndsTheLookingForADataChannel at each of its waits.
func TestCloseEndsTheLookingForADataChannel(t *testing.T) {
	ftptest.Need(t, "deaf port")
	silent := fmt.Sprintf("229 here (|||%d|)", ftptest.DeafPort(t))
	reached, over := make(chan struct{}), make(chan struct{})
	waiting := func(first ftptest.Step, then ...ftptest.Step) steps {
		return steps{first}.then(then...).then(ftptest.Step{Call: func() { reached <- struct{}{} }, Hold: over, End: ftptest.Close})
	}
	tests := []struct {
		name   string
		script steps
		change func(*ftpclient.Options)
	}{
		{"while it dials", waiting(ftptest.Step{Expect: "EPSV", Send: silent}), func(o *ftpclient.Options) { o.ConnectTimeout = testPatience }},
		{"while it dials anew", waiting(ftptest.Step{Expect: "EPSV", Send: silent}, ftptest.Step{Expect: "QUIT", Send: "221 bye", End: ftptest.Close}, ftptest.Step{Send: "220-soon"}),
			func(o *ftpclient.Options) { o.ConnectTimeout = time.Second }},
		{"while the server connects", waiting(ftptest.Step{Expect: "STAT", Send: "502 no"}, ftptest.Step{Expect: "CWD /d", Send: "250 ok"},
			ftptest.Step{Expect: "PORT *", Send: "200 ok"}, ftptest.Step{Expect: "NLST"}),
			func(o *ftpclient.Options) { activeOnly(o); o.ConnectTimeout = testPatience }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn, _ := connect(t, open("", test.script), test.change)
			ended := make(chan error)
			go func() { ended <- putHello(t.Context(), conn) }()
			<-reached
			time.AfterFunc(50*time.Millisecond, func() { conn.Close() })
			select {
			case err := <-ended:
				if got := ftpclient.Classify(err); got != ftpclient.ClassConnection {
					t.Errorf("%v is classified %s", err, got)
				}
			case <-time.After(atOnce):
				t.Error("it goes on")
			}
			over <- struct{}{}
		})
	}
}

// TestTheServersViewIsLearned from STAT, and from the text of a refused PORT.
func TestTheServersViewIsLearned(t *testing.T) {
	view := netip.MustParseAddr("203.0.113.2")
	far := func(o *ftpclient.Options) { activeOnly(o); o.Data.ExternalAddress = netip.MustParseAddr("203.0.113.3") }
	refused := "500 I won't open a connection to 203.0.113.3 (only to 203.0.113.2)"
	tests := []struct {
		name   string
		script steps
		from   string
	}{
		{"from STAT", talk("STAT", "211-FTP server status:\n     Connected to ::ffff:203.0.113.2\n211 End", "CWD /d", "250 ok", "PORT *", "500 no",
			"CWD /d", "250 ok", "EPRT *", "500 no"), "STAT"},
		{"from the refusal of PORT", talk("STAT", "502 no", "CWD /d", "250 ok", "PORT *", refused, "CWD /d", "250 ok", "EPRT *", refused), "PORT"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			conn, _ := connect(t, session("", test.script), far, func(o *ftpclient.Options) {
				o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			err := putHello(t.Context(), conn)
			var none *ftpclient.DataError
			if !errors.As(err, &none) || none.View != view {
				t.Fatalf("%v", err)
			}
			for _, part := range []string{"sees us as 203.0.113.2", `data.external_ip has to be 203.0.113.2`, "note: configured is 203.0.113.3"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q: %v", part, err)
				}
			}
			if text := log.String(); !strings.Contains(text, "configured=203.0.113.3 seen=203.0.113.2") || strings.Contains(text, "no data channel") { // that is the error's
				t.Errorf("the log: %s", text)
			}
			survey, err := conn.Survey(t.Context())
			if err != nil || survey.View != view || survey.ViewFrom != test.from {
				t.Errorf("%+v, %v", survey, err)
			}
		})
	}
}

// TestWhatIsRememberedComesFirst, and what does not hold any more is forgotten.
func TestWhatIsRememberedComesFirst(t *testing.T) {
	now := time.Now().Unix()
	seen := "211-status\n Connected from 203.0.113.2\n211 End"
	direct := ftpclient.Channel{Network: loopback, Way: "direct PORT", Since: now}
	with := func(change func(*ftpclient.Channel)) ftpclient.Channel {
		c := direct
		change(&c)
		return c
	}
	closed := closedPassive(t)
	upload := steps{passive, {Expect: "STOR /d/f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All}}, {Send: "226 done"}}
	tests := []struct {
		name   string
		known  ftpclient.Channel
		script steps
		want   ftpclient.Channel
	}{
		{"it is proven, and nothing else tried", direct, surveyed.then(provenWay("/d", "PORT")...).then(storing("PORT")...), direct},
		{"the server sees another address: another network", with(func(c *ftpclient.Channel) { c.View = "203.0.113.9" }),
			talk("STAT", seen).then(upload...), with(func(c *ftpclient.Channel) { c.Way, c.View = "passive EPSV", "203.0.113.2" })},
		{"it is forgotten when it fails", direct, surveyed.then(talk("CWD /d", "250 ok", "PORT *", "200 ok", "NLST", "425 no")...).then(upload...),
			with(func(c *ftpclient.Channel) { c.Way = "passive EPSV" })},
		{"after a day the better ones come first", with(func(c *ftpclient.Channel) { c.Since = now - 25*3600 }),
			closed.then(surveyed...).then(provenWay("/d", "PORT")...).then(storing("PORT")...), direct},
		{"after a day a better one may work", with(func(c *ftpclient.Channel) { c.Since = now - 25*3600 }), upload,
			with(func(c *ftpclient.Channel) { c.Way = "passive EPSV" })},
		{"of another network it is not believed", with(func(c *ftpclient.Channel) { c.Network = "eth7 10.0.0.0/8" }), upload,
			with(func(c *ftpclient.Channel) { c.Way = "passive EPSV" })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn, _ := connect(t, session("", test.script), func(o *ftpclient.Options) { o.Facts.Channels[0] = test.known })
			if err := putHello(t.Context(), conn); err != nil {
				t.Fatal(err)
			}
			got := conn.Facts().Channels[0]
			if diff := cmp.Diff(test.want, got, anyTime()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Since < test.want.Since {
				t.Errorf("it is from %d, want %d or later", got.Since, test.want.Since)
			}
		})
	}
}

// TestBetterWaysGetAnotherChanceInALongSession, although they failed in it before.
func TestBetterWaysGetAnotherChanceInALongSession(t *testing.T) {
	upload := steps{passive, {Expect: "STOR /d/f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All}}, {Send: "226 done"}}
	conn, _ := connect(t, session("", closedPassive(t).then(surveyed...).then(provenWay("/d", "PORT")...).then(storing("PORT")...).
		then(storing("PORT")...).then(upload...)))
	for _, pause := range []time.Duration{0, time.Hour, 25 * time.Hour} {
		conn.Age(pause)
		if err := putHello(t.Context(), conn); err != nil {
			t.Fatalf("after %s: %v", pause, err)
		}
	}
	if way := conn.Facts().Channels[0].Way; way != "passive EPSV" {
		t.Errorf("remembered is %q", way)
	}
}

// TestDishonestServersAreRefused each with its own error (RFC 2577 section 3).
func TestDishonestServersAreRefused(t *testing.T) {
	port := refusedPort(t)
	bytes := fmt.Sprintf("%d,%d", port>>8, port&0xff)
	stranger := []ftptest.Step{{Expect: "PORT *", Send: "200 ok"}, {Expect: "NLST", Send: "150 go",
		Data: &ftptest.Data{From: "127.0.0.2", Send: "evil", Receive: ftptest.All, End: ftptest.Close}}, {Send: "226 done"}}
	third, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	thirdPort := third.Addr().(*net.TCPAddr).Port
	t.Cleanup(func() { // after all of them
		third.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
		if caller, err := third.Accept(); err == nil {
			caller.Close()
			t.Error("the third host was dialled")
		}
		third.Close()
	})
	config := certified(t, tls.VersionTLS13)
	clear := &ftptest.Data{Send: "a file that everybody can read", End: ftptest.Close}
	trusting := func(o *ftpclient.Options) { passiveOnly(o); o.Data.TrustPASVAddress, o.Facts.EPSVRefused = true, true }
	tests := []struct {
		name   string
		script steps
		change func(*ftpclient.Options)
		secret bool
		lost   bool
		want   outcome
	}{
		{name: "PASV names a third public host", change: func(o *ftpclient.Options) { passiveOnly(o); o.Facts.EPSVRefused = true },
			script: talk("PASV", "227 here (192,0,2,1,"+bytes+")", "EPSV", "500 no"),
			want:   outcome{is: ftpclient.ErrThirdHost, class: ftpclient.ClassSetup}},
		{name: "PASV names a third host, where somebody listens", change: func(o *ftpclient.Options) { passiveOnly(o); o.Facts.EPSVRefused = true },
			script: talk("PASV", fmt.Sprintf("227 here (127,0,0,2,%d,%d)", thirdPort>>8, thirdPort&0xff), "EPSV", "500 no"),
			want:   outcome{is: ftpclient.ErrThirdHost, class: ftpclient.ClassSetup}},
		{name: "PASV names a network that only we are in, where its word is taken", change: trusting,
			script: talk("PASV", "227 here (224,0,0,1,"+bytes+")", "EPSV", "500 no"),
			want:   outcome{is: ftpclient.ErrThirdHost, class: ftpclient.ClassSetup}},
		{name: "EPSV with an address", change: passiveOnly,
			script: talk("EPSV", fmt.Sprintf("229 (|1|192.0.2.1|%d|)", port), "PASV", "500 no"),
			want:   outcome{is: ftpclient.ErrEPSVAddress, class: ftpclient.ClassSetup}},
		{name: "a privileged port", change: passiveOnly, script: talk("EPSV", "229 (|||25|)", "PASV", "227 (127,0,0,1,0,25)"),
			want: outcome{is: ftpclient.ErrPrivilegedPort, class: ftpclient.ClassSetup}},
		{name: "only a stranger connects", change: func(o *ftpclient.Options) { activeOnly(o); impatient(o) }, lost: true,
			script: surveyed.then(talk("CWD /d", "250 ok")...).then(stranger...),
			want:   outcome{is: ftpclient.ErrStranger, class: ftpclient.ClassSetup}},
		{name: "clear data after PROT P, passive", secret: true,
			script: steps{passive, {Expect: "RETR /d/f", Send: "150 go", Data: clear}, {Send: "226 done"}},
			want:   outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}},
		{name: "clear data after PROT P, active", secret: true, change: activeOnly,
			script: surveyed.then(talk("CWD /d", "250 ok", "PORT *", "200 ok")...).then(steps{{Expect: "NLST", Send: "150 go", Data: clear}, {Send: "226 done"}}...),
			want:   outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := session("", test.script)
			if test.lost {
				script = open("", test.script)
			}
			changes := []func(*ftpclient.Options){}
			if test.secret {
				script = secureSession(&ftptest.TLS{Config: config}, test.script)
				changes = append(changes, secure)
			}
			if test.change != nil {
				changes = append(changes, test.change)
			}
			conn, _ := connect(t, script, changes...)
			transfer, err := conn.Retrieve(t.Context(), "/d/f", 0)
			if err == nil {
				content, _ := io.ReadAll(transfer)
				_, err = transfer.Finish(t.Context())
				t.Errorf("it gave %q", content)
			}
			test.want.check(t, err)
		})
	}
}
