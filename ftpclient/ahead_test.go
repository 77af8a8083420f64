package ftpclient_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// knownServer stands questions behind transfers, as is known.
func knownServer(o *ftpclient.Options) { o.Facts.Pipelining, o.Facts.Ahead = "yes", "yes" }

// received takes a whole upload.
func received(want string) *ftptest.Data {
	return &ftptest.Data{Receive: ftptest.All, Want: want, End: ftptest.Close}
}

// inOneWrite is commands of which none is answered before the last one is there; last is what happens then.
func inOneWrite(last ftptest.Step, lines ...string) (s steps) {
	for _, line := range lines[:len(lines)-1] {
		s = append(s, ftptest.Step{Expect: line})
	}
	last.Expect = lines[len(lines)-1]
	return append(s, last)
}

// nextPort tells where the data connection of the next transfer goes.
var nextPort = ftptest.Step{Passive: true, Send: "229 Entering Extended Passive Mode (|||{port}|)"}

// firstOfMany is an upload of "one" to /a with another one to follow, up to the 226.
var firstOfMany = steps{passive}.then(inOneWrite(ftptest.Step{Send: "150 go", Data: received("one")}, "STOR /a", "SIZE /a", "EPSV")...).
	then(ftptest.Step{Send: "226 done"})

// storeAhead uploads content to p.
func storeAhead(ctx context.Context, conn *ftpclient.Conn, before *ftpclient.Batch, p, content string, more bool) (ftpclient.Result, error) {
	transfer, err := conn.StoreAhead(ctx, before, p, more)
	if err != nil {
		return ftpclient.Result{}, err
	}
	transfer.ReadFrom(strings.NewReader(content))
	return transfer.Finish(ctx)
}

func TestWhatGoesAroundAnUpload(t *testing.T) {
	t.Parallel()
	script := firstOfMany.then(ftptest.Step{Send: "213 3"}, nextPort).
		then(inOneWrite(ftptest.Step{Send: "350 go on\n250 renamed\n550 no\n150 go", Data: received("two")}, "RNFR /a", "RNTO /b", "SIZE /c", "MDTM /c", "STOR /d", "SIZE /d")...).
		then(ftptest.Step{Send: "226 done\n213 4"})
	script[len(script)-2].Send = "350 go on\n250 renamed\n550 no\n550 no\n150 go"
	conn, _ := connect(t, session("", script), knownServer)
	defer conn.Close()
	result, err := storeAhead(t.Context(), conn, nil, "/a", "one", true)
	if err != nil || result.Size != 3 || result.Code != 226 {
		t.Fatalf("%v, %+v", err, result)
	}
	batch := conn.NewBatch()
	renamed, found := batch.Rename("/a", "/b"), batch.StatFile("/c")
	if renamed.Err != ftpclient.ErrUnanswered || found.Err != ftpclient.ErrUnanswered {
		t.Errorf("before: %v, %v", renamed.Err, found.Err)
	}
	result, err = storeAhead(t.Context(), conn, batch, "/d", "two", false)
	if err != nil || result.Size != 4 {
		t.Fatalf("%v, %+v", err, result)
	}
	if renamed.Err != nil || found.Err != nil || found.Found {
		t.Errorf("renamed: %v, found: %+v", renamed.Err, found)
	}
	if !conn.Usable() {
		t.Error("not usable")
	}
}

func TestWhatServersSayBehindAnUpload(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		known   string // Facts.Ahead
		script  steps  // behind the login
		want    error
		size    int64
		learned string // Facts.Ahead
		dead    bool
	}{
		{name: "all as hoped for", known: "yes", script: firstOfMany.then(ftptest.Step{Send: "213 3"}, nextPort), size: 3},
		{name: "the port before the end, as asynchronous servers do", known: "yes", dead: true, learned: "pair", want: ftpclient.ErrUnconfirmed, size: -1,
			script: firstOfMany[:4].then(ftptest.Step{Send: "213 0"}, nextPort, ftptest.Step{Send: "226 done"})},
		{name: "one answer for all", known: "yes", dead: true, learned: "pair", want: ftpclient.ErrUnconfirmed, size: -1,
			script: firstOfMany.then(ftptest.Step{Send: "500 what?"})},
		{name: "an answer too many", known: "yes", dead: true, learned: "pair", want: ftpclient.ErrUnconfirmed, size: -1,
			script: firstOfMany.then(ftptest.Step{Send: "213 3\n200 what?"})},
		{name: "it hangs up behind the 226", known: "yes", dead: true, learned: "pair", want: ftpclient.ErrUnconfirmed, size: -1,
			script: firstOfMany.then(ftptest.Step{End: ftptest.Close})},
		{name: "it is closing", known: "yes", dead: true, want: ftpclient.ErrUnconfirmed, size: -1,
			script: firstOfMany.then(ftptest.Step{Send: "421 bye", End: ftptest.Close})},
		{name: "no SIZE and no EPSV", known: "yes", script: firstOfMany.then(ftptest.Step{Send: "500 what?\n522 no"}), size: -1},
		{name: "refused, and the rest is answered", known: "yes", want: fs.ErrNotExist,
			script: steps{passive}.then(inOneWrite(ftptest.Step{Send: "550 No such file or directory\n550 no"}, "STOR /a", "SIZE /a", "EPSV")...).then(nextPort)},
		{name: "cut, and the rest is answered", known: "yes", size: -1, want: ftpclient.ErrProtocol,
			script: firstOfMany[:4].then(ftptest.Step{Send: "426 cut\n213 1"}, nextPort)},
		{name: "servers that nobody knows are asked behind the 226", known: "", size: 3,
			script: steps{passive, {Expect: "STOR /a", Send: "150 go", Data: received("one")}, {Send: "226 done"}}.then(inOneWrite(ftptest.Step{Send: "213 3"}, "SIZE /a", "EPSV")...).then(nextPort)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := session("", test.script)
			if test.dead {
				script = open("", test.script)
			}
			conn, _ := connect(t, script, func(o *ftpclient.Options) {
				knownServer(o)
				o.Facts.Ahead = test.known
				o.ReplyTimeout = 2 * time.Second // of the answers that do not come
			})
			defer conn.Close()
			result, err := storeAhead(t.Context(), conn, nil, "/a", "one", true)
			var told *ftpclient.Error
			if test.want == ftpclient.ErrProtocol && !(errors.As(err, &told) && told.Code == 426) || test.want != ftpclient.ErrProtocol && !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if test.want == nil && result.Size != test.size {
				t.Errorf("size %d, want %d", result.Size, test.size)
			}
			if test.learned == "" {
				test.learned = test.known
			}
			if got := conn.Facts().Ahead; got != test.learned {
				t.Errorf("learned %q, want %q", got, test.learned)
			}
			if conn.Usable() == test.dead {
				t.Errorf("usable: %v", conn.Usable())
			}
		})
	}
}

// TestAPortThatIsNamedAmongOthersAndCannotBeReached is about firewalls that read along: they open the port of a 229 that stands alone.
func TestAPortThatIsNamedAmongOthersAndCannotBeReached(t *testing.T) {
	t.Parallel()
	closed := ftptest.RefusedAddress(t)
	port := closed[strings.LastIndex(closed, ":")+1:]
	script := firstOfMany.then(ftptest.Step{Send: "213 3\n229 Entering Extended Passive Mode (|||" + port + "|)"}).
		then(inOneWrite(ftptest.Step{Send: "425 no data connection\n550 no"}, "STOR /b", "SIZE /b")...).
		then(passive, ftptest.Step{Expect: "STOR /b", Send: "150 go", Data: received("two")}, ftptest.Step{Send: "226 done"})
	conn, _ := connect(t, session("", script), knownServer)
	defer conn.Close()
	if _, err := storeAhead(t.Context(), conn, nil, "/a", "one", true); err != nil {
		t.Fatal(err)
	}
	if _, err := storeAhead(t.Context(), conn, nil, "/b", "two", false); err == nil {
		t.Fatal("uploaded")
	}
	if got := conn.Facts().Ahead; got != "doubtful" {
		t.Errorf("learned %q", got)
	}
	if _, err := storeAhead(t.Context(), conn, nil, "/b", "two", false); err != nil {
		t.Error(err)
	}
	if got := conn.Facts().Ahead; got != "no" {
		t.Errorf("learned %q", got)
	}
}

// TestAnUploadWithSomethingBehindItIsInterrupted: no ABOR is sent, and what is behind the transfer is answered.
func TestAnUploadWithSomethingBehindItIsInterrupted(t *testing.T) {
	t.Parallel()
	script := steps{passive}.then(inOneWrite(ftptest.Step{Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}, "STOR /a", "SIZE /a", "EPSV")...).
		then(ftptest.Step{Send: "426 cut\n213 1"}, nextPort).then(talk("NOOP", "200 here")...)
	conn, _ := connect(t, session("", script), knownServer)
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	transfer, err := conn.StoreAhead(ctx, nil, "/a", true)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(transfer, "o")
	cancel(ftpclient.ErrInterrupted)
	if _, err := transfer.Finish(ctx); !errors.Is(err, ftpclient.ErrInterrupted) {
		t.Errorf("%v", err)
	}
	if err := conn.Noop(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestNothingGoesAroundPORT(t *testing.T) {
	t.Parallel()
	script := surveyed.then(provenWay("/", "PORT")...).then(talk("SIZE /a", "550 no")...).
		then(steps{{Expect: "PORT *", Send: "200 ok"}, {Expect: "STOR /a", Send: "150 go", Data: received("one")}, {Send: "226 done"}}...)
	conn, _ := connect(t, session("", script), knownServer, activeOnly)
	defer conn.Close()
	result, err := storeAhead(t.Context(), conn, nil, "/a", "one", true)
	if err != nil || result.Size != -1 {
		t.Errorf("%v, %+v", err, result)
	}
}

// TestDataGoBeforeTheFirstReply: to wait for the 150 would cost a round trip. This server says it when all has come.
func TestDataGoBeforeTheFirstReply(t *testing.T) {
	t.Parallel()
	script := steps{passive}.then(inOneWrite(ftptest.Step{Data: received("one")}, "STOR /a", "SIZE /a")...).then(ftptest.Step{Send: "150 go\n226 done\n213 3"})
	conn, _ := connect(t, session("", script), knownServer)
	defer conn.Close()
	if result, err := storeAhead(t.Context(), conn, nil, "/a", "one", false); err != nil || result.Size != 3 {
		t.Errorf("%v, %+v", err, result)
	}
}

// TestADownloadEndsOnThisSideFirst on servers that wait for that before they end theirs.
func TestADownloadEndsOnThisSideFirst(t *testing.T) {
	for _, row := range []struct {
		server string
		tls    *ftptest.TLS
	}{
		{"proftpd", nil},
		{"proftpd", &ftptest.TLS{Config: certified(t, tls.VersionTLS13)}},
		{"vsftpd", &ftptest.TLS{Config: certified(t, tls.VersionTLS12)}},
	} {
		charset := map[string]steps{"vsftpd": talk("OPTS UTF8 ON", "200 always")}[row.server]
		t.Run(fmt.Sprintf("%s, TLS %v", row.server, row.tls != nil), func(t *testing.T) {
			t.Parallel()
			waiting := &ftptest.Data{TLS: row.tls, Send: "one", Receive: ftptest.All, End: ftptest.Close}
			script := steps{passive}.then(inOneWrite(ftptest.Step{Send: "150 go", Data: waiting}, "RETR /a", "SIZE /a")...).then(ftptest.Step{Send: "226 done\n213 3"})
			whole, how := session("MLST type*;size*;", script), func(*ftpclient.Options) {}
			if row.tls != nil {
				whole, how = steps{{Send: "220 ready"}, {Expect: "AUTH TLS", Send: "234 go on", TLS: row.tls}}, secure
				whole = whole.then(talk("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", "211-Features\n MLST type*;size*;\n211 End")...).then(charset...)
				whole = whole.then(talk("PBSZ 0", "200 ok", "PROT P", "200 ok", "PWD", `257 "/"`, "TYPE I", "200 binary")...).then(script...).then(talk("QUIT", "221 bye")...)
			}
			conn, _ := connect(t, whole, knownServer, how, func(o *ftpclient.Options) { o.Facts.Server, o.Facts.LoginAtOnce = row.server, "broke" })
			defer conn.Close()
			if got, err := retrieveAhead(t, conn, "/a"); err != nil || got != "one" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestNoDataBeforeTheReplyOfAServerThatMayReadThemFirst: pyftpdlib takes data that come to it before the command for an end of the connection.
func TestNoDataBeforeTheReplyOfAServerThatMayReadThemFirst(t *testing.T) {
	t.Parallel()
	for _, known := range []string{"", "pair"} { // nobody knows, or it is known to be one
		var said atomic.Bool
		script := steps{passive, {Expect: "STOR /a"}, {Delay: 100 * time.Millisecond}, {Call: func() { said.Store(true) }, Send: "150 go", Data: received("one")}, {Send: "226 done"}}
		conn, _ := connect(t, session("", script.then(inOneWrite(ftptest.Step{Send: "213 3"}, "SIZE /a", "EPSV")...).then(nextPort)), knownServer, func(o *ftpclient.Options) { o.Facts.Ahead = known })
		transfer, err := conn.StoreAhead(t.Context(), nil, "/a", true)
		if err != nil {
			t.Fatal(err)
		}
		if !said.Load() {
			t.Errorf("%q: it may send before it was told to", known)
		}
		io.WriteString(transfer, "one")
		if _, err := transfer.Finish(t.Context()); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
}

// TestAServerThatTakesAnEarlyEndForAnAbort is not shown another one.
func TestAServerThatTakesAnEarlyEndForAnAbort(t *testing.T) {
	t.Parallel()
	abort := ftptest.Step{Send: "150 go", Data: &ftptest.Data{Send: "o", End: ftptest.Close}}
	script := steps{passive}.then(inOneWrite(abort, "RETR /a", "SIZE /a")...).then(ftptest.Step{Send: "426 you have ended\n213 3"}, passive).
		then(inOneWrite(ftptest.Step{Send: "150 go", Data: &ftptest.Data{Send: "one", End: ftptest.Close}}, "RETR /a", "SIZE /a")...).then(ftptest.Step{Send: "226 done\n213 3"})
	conn, _ := connect(t, session("MLST type*;size*;", script), knownServer, func(o *ftpclient.Options) { o.Facts.Server, o.Facts.LoginAtOnce = "proftpd", "broke" })
	defer conn.Close()
	for i, want := range []string{"o", "one"} {
		transfer, err := conn.RetrieveAhead(t.Context(), nil, "/a", false)
		if err != nil && i == 0 { // the 426 was faster
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if transfer.EndsEarly() != (i == 0) {
			t.Errorf("download %d has ended early: %v", i, transfer.EndsEarly())
		}
		got, _ := io.ReadAll(transfer)
		if _, err := transfer.Finish(t.Context()); string(got) != want || (err == nil) != (i == 1) {
			t.Errorf("download %d: %q, %v", i, got, err)
		}
	}
}

func retrieveAhead(t *testing.T, conn *ftpclient.Conn, p string) (string, error) {
	t.Helper()
	transfer, err := conn.RetrieveAhead(t.Context(), nil, p, false)
	if err != nil {
		return "", err
	}
	got, _ := io.ReadAll(transfer) // its error is Finish's, too
	_, err = transfer.Finish(t.Context())
	return string(got), err
}

func TestListAhead(t *testing.T) {
	t.Parallel()
	lines := func(names ...string) *ftptest.Data {
		var text strings.Builder
		for _, name := range names {
			text.WriteString("type=file;size=1; " + name + "\r\n")
		}
		return &ftptest.Data{Send: text.String(), End: ftptest.Close}
	}
	script := steps{}.then(passive).
		then(inOneWrite(ftptest.Step{Send: "250 ok\n150 here", Data: lines("one")}, "CWD /a", "MLSD", "EPSV")...).then(ftptest.Step{Send: "226 done"}, nextPort).
		then(inOneWrite(ftptest.Step{Send: "550 No such file or directory\n150 here", Data: &ftptest.Data{Send: "", End: ftptest.Close}}, "CWD /gone", "MLSD", "EPSV")...).
		then(ftptest.Step{Send: "226 done"}, nextPort).
		then(inOneWrite(ftptest.Step{Send: "250 ok\n150 here", Data: lines("two", "three")}, "CWD /b", "MLSD")...).then(ftptest.Step{Send: "226 done"})
	conn, _ := connect(t, session("MLST type*;size*;", script), knownServer)
	defer conn.Close()
	if l, err := conn.ListAhead(t.Context(), "/a", true); err != nil || len(l.Entries) != 1 || l.Incomplete != "" {
		t.Fatalf("%v, %+v", err, l)
	}
	if l, err := conn.ListAhead(t.Context(), "/gone", true); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%v, %+v", err, l)
	}
	if l, err := conn.ListAhead(t.Context(), "/b", false); err != nil || len(l.Entries) != 2 || l.Incomplete != "" {
		t.Fatalf("%v, %+v", err, l)
	}
}

// TestTheFirstTimeOfABatch: that MFMT works is learned in the same write, and that it does not is no success.
func TestTheFirstTimeOfABatch(t *testing.T) {
	t.Parallel()
	when := time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)
	tests := []struct {
		name, set, told string
		learned         string
	}{
		{"it is told as it was set", "213 ok", "213 20240203040506", "MFMT"},
		{"another time is told", "213 ok", "213 20260203040506", ""},
		{"it is refused", "550 no", "213 20240203040506", ""},
		{"no time is told", "213 ok", "550 no", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session("MFMT,MDTM,MLST type*;size*;", group("MFMT 20240203040506 /a", test.set, "MDTM /a", test.told, "RNFR /a", "350 on", "RNTO /b", "250 done")), knownServer)
			defer conn.Close()
			batch := conn.NewBatch()
			set, renamed := batch.SetModTime("/a", when), batch.Rename("/a", "/b")
			if err := batch.Do(t.Context()); err != nil || renamed.Err != nil {
				t.Fatal(err, renamed.Err)
			}
			if (set.Err == nil) != (test.learned != "") || conn.Facts().TimeSetter != test.learned || conn.SetsTimesInBatches() != (test.learned != "") {
				t.Errorf("%v, learned %q", set.Err, conn.Facts().TimeSetter)
			}
		})
	}
}

// TestTheFirstTimeByMDTM: vsftpd lists no command that sets times. In which zone it tells them is seen by the file that was written just now.
func TestTheFirstTimeByMDTM(t *testing.T) {
	t.Parallel()
	when := time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)
	written := func(ahead time.Duration) string { return "213 " + time.Now().UTC().Add(ahead).Format("20060102150405") }
	tests := []struct {
		name, before, set, told string
		learned                 string
		zone                    int
		listed                  string // MDTM alone if empty
	}{
		{"it is told as it was set", written(0), "213 File modification time set.", "213 20240203040506", "MDTM", 0, ""},
		{"one that lists a better one", written(0), "213 ok", "213 20240203040506", "MFMT", 0, "MFMT"},
		{"in local time, both: it has to be set once more, allowing for that", written(time.Hour), "213 File modification time set.", "213 20240203040506", "", 3600, ""},
		{"told in local time only", written(time.Hour), "213 File modification time set.", "213 20240203050506", "MDTM", 3600, ""},
		{"it was a question", written(0), "550 Could not get file modification time.", "213 20261123000000", "", 0, ""},
		{"the clock is no clock", written(400 * time.Second), "213 File modification time set.", "213 20240203040506", "", -1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := group("MDTM /a", test.before, cmp.Or(test.listed, "MDTM")+" 20240203040506 /a", test.set, "MDTM /a", test.told, "RNFR /a", "350 on", "RNTO /b", "250 done")
			if test.learned != "" { // from then on it takes one command
				script = script.then(group(test.learned+" 20240203040506 /c", test.set, "RNFR /c", "350 on", "RNTO /d", "250 done")...)
			}
			hello := vsftpd("MDTM," + cmp.Or(test.listed, "SIZE")).then(talk("PWD", `257 "/"`, "TYPE I", "200 ok")...)
			conn, _ := connect(t, hello.then(script...).then(talk("QUIT", "221 bye")...), knownServer, func(o *ftpclient.Options) { o.Facts.LoginAtOnce = "broke" })
			defer conn.Close()
			if !conn.SetsTimesInBatches() {
				t.Error("it is not tried in a batch")
			}
			batch := conn.NewBatch()
			set, renamed := batch.SetModTime("/a", when), batch.Rename("/a", "/b")
			if err := batch.Do(t.Context()); err != nil || renamed.Err != nil {
				t.Fatal(err, renamed.Err)
			}
			facts := conn.Facts()
			if (set.Err == nil) != (test.learned != "") || facts.TimeSetter != test.learned || conn.SetsTimesInBatches() != (test.learned != "") {
				t.Errorf("%v, learned %q", set.Err, facts.TimeSetter)
			}
			if facts.MDTMZone.Known != (test.zone >= 0) || test.zone >= 0 && facts.MDTMZone.Offset != test.zone {
				t.Errorf("zone: %+v", facts.MDTMZone)
			}
			if test.learned == "" {
				return
			}
			batch = conn.NewBatch()
			set, renamed = batch.SetModTime("/c", when), batch.Rename("/c", "/d")
			if err := batch.Do(t.Context()); err != nil || set.Err != nil || renamed.Err != nil {
				t.Error(err, set.Err, renamed.Err)
			}
		})
	}
}

// TestFindFile: a refusal that may mean something else is no proof that nothing is there.
func TestFindFile(t *testing.T) {
	t.Parallel()
	const facts = "250-here\r\n type=file;size=7;modify=20240102030405; a\r\n250 end"
	tests := []struct {
		name   string
		script steps
		size   int64 // -1 for nothing found
	}{
		{"it is there", group("SIZE /a", "213 7", "DELE /x", "250 gone", "DELE /y", "250 gone").then(talk("MLST /a", facts)...), 7},
		{"nothing is there", group("SIZE /a", "550 /a: No such file or directory", "DELE /x", "250 gone", "DELE /y", "250 gone"), -1},
		{"nothing is there, in words that may mean more", group("SIZE /a", "550 no", "DELE /x", "250 gone", "DELE /y", "250 gone").
			then(talk("MLST /a", "550 No such file or directory")...), -1},
		{"a folder is there", group("SIZE /a", "550 /a: not a regular file", "DELE /x", "250 gone", "DELE /y", "250 gone").
			then(talk("MLST /a", "250-here\r\n type=dir; a\r\n250 end")...), -1},
		{"nobody may look at it", group("SIZE /a", "550 Permission denied", "DELE /x", "250 gone", "DELE /y", "250 gone").
			then(talk("MLST /a", "550 Permission denied", "SIZE /a", "213 7", "MDTM /a", "213 20240102030405")...), 7},
		{"the command is refused", group("SIZE /a", "501 what?", "DELE /x", "250 gone", "DELE /y", "250 gone").
			then(talk("MLST /a", facts)...), 7},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session("MLST type*;size*;modify*;", test.script), knownServer, func(o *ftpclient.Options) { o.Facts.LoginAtOnce = "broke" })
			defer conn.Close()
			batch := conn.NewBatch()
			found := batch.FindFile("/a")
			gone := batch.Remove("/x")
			batch.Remove("/y")
			if err := batch.Do(t.Context()); err != nil || gone.Err != nil {
				t.Fatal(err, gone.Err)
			}
			if found.Err != nil || found.Found != (test.size >= 0) || found.Found && found.Entry.Size != test.size {
				t.Errorf("%+v", found)
			}
		})
	}
}

// TestFindFileWhereSizeIsVague: it is asked together with MLST from then on.
func TestFindFileWhereSizeIsVague(t *testing.T) {
	t.Parallel()
	script := group("SIZE /a", "550 no", "DELE /x", "250 gone", "DELE /y", "250 gone").then(talk("MLST /a", "550 'a' cannot be listed", "SIZE /a", "550 no")...).
		then(group("MLST /b", "550 'b' cannot be listed", "SIZE /b", "550 no", "DELE /x", "250 gone", "DELE /y", "250 gone")...).
		then(group("MLST /c", "250-here\r\n type=file;size=7;modify=20240102030405; c\r\n250 end", "SIZE /c", "213 7", "DELE /x", "250 gone", "DELE /y", "250 gone")...)
	conn, _ := connect(t, session("MLST type*;size*;modify*;", script), knownServer, func(o *ftpclient.Options) { o.Facts.LoginAtOnce = "broke" })
	defer conn.Close()
	for _, row := range []struct {
		name  string
		there bool
	}{{"/a", false}, {"/b", false}, {"/c", true}} {
		batch := conn.NewBatch()
		found := batch.FindFile(row.name)
		batch.Remove("/x")
		batch.Remove("/y")
		if err := batch.Do(t.Context()); err != nil || found.Err != nil || found.Found != row.there {
			t.Errorf("%s: %+v, %v", row.name, found, err)
		}
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	script := group("RNFR /a", "550 no", "RNTO /b", "503 first RNFR", "DELE /c", "250 gone", "MKD /d", "257 made", "RMD /e", "550 not empty").
		then(group("MKD /l", "257 made", "MKD /r", "257 made")...).then(group("MKD /f", "550 exists", "SIZE /g", "213 7", "MDTM /g", "213 20240102030405")...)
	conn, _ := connect(t, session("", script), knownServer)
	defer conn.Close()
	batch := conn.NewBatch()
	rename, remove, made, removed := batch.Rename("/a", "/b"), batch.Remove("/c"), batch.MakeDir("/d"), batch.RemoveDir("/e")
	if err := batch.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	var e *ftpclient.Error
	if !errors.As(rename.Err, &e) || e.Code != 550 || remove.Err != nil || made.Err != nil || !errors.As(removed.Err, &e) || e.Code != 550 {
		t.Errorf("%v, %v, %v, %v", rename.Err, remove.Err, made.Err, removed.Err)
	}
	batch = conn.NewBatch()
	left, right := batch.MakeDir("/l"), batch.MakeDir("/r") // two are worth it where it is known
	if err := batch.Do(t.Context()); err != nil || left.Err != nil || right.Err != nil {
		t.Fatal(err, left.Err, right.Err)
	}
	batch = conn.NewBatch()
	exists, found := batch.MakeDir("/f"), batch.StatFile("/g")
	if err := batch.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exists.Err == nil || found.Err != nil || found.Entry.Size != 7 {
		t.Errorf("%v, %+v", exists.Err, found)
	}
}
