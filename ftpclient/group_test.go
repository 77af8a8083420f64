package ftpclient_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// group is commands that come in one write before the first of their replies.
func group(lines ...string) steps {
	var s steps
	replies := ""
	for i := 0; i < len(lines); i += 2 {
		s = append(s, ftptest.Step{Expect: lines[i]})
		replies += lines[i+1] + "\r\n"
	}
	s[len(s)-1].Raw = replies
	return s
}

var proof = group("PWD", `257 "/"`, "NOOP", "200 ok", "PWD", `257 "/"`)

var proven = func(o *ftpclient.Options) { o.Facts.Pipelining = "yes" }

func TestStatFiles(t *testing.T) {
	const at = "213 20240102030405"
	tests := []struct {
		name     string
		features string
		known    string
		script   steps
		found    []string // sizes; "" for what is not found
		want     outcome
		learned  string
		dead     bool
	}{
		{name: "a few files are asked for one by one", script: talk("SIZE /a", "213 1", "MDTM /a", at, "SIZE /b", "550 no"), found: []string{"1", ""}},
		{name: "many files are asked for in one write, once that is proven",
			script: proof.then(group("SIZE /a", "213 1", "MDTM /a", at, "SIZE /b", "550 no", "MDTM /b", "550 no", "SIZE /c", "213 3", "MDTM /c", "500 no")...),
			found:  []string{"1", "", "3"}, learned: "yes"},
		{name: "MLST needs half of it", features: "MLST", known: "yes", learned: "yes",
			script: group("MLST /a", "250-Here\r\n type=file;size=1; a\r\n250 End", "MLST /b", "550 no", "MLST /c", "250-Here\r\n type=dir; c\r\n250 End"),
			found:  []string{"1", "", ""}},
		{name: "what is not clear is asked again", known: "yes", learned: "yes",
			script: group("SIZE /a", "213 1", "MDTM /a", at, "SIZE /b", "213 much", "MDTM /b", at, "SIZE /c", "451 no", "MDTM /c", at).
				then(talk("SIZE /b", "213 2", "MDTM /b", at, "SIZE /c", "213 3", "MDTM /c", at)...),
			found: []string{"1", "2", "3"}},
		{name: "a server known not to is asked one by one", known: "no", learned: "no",
			script: talk("SIZE /a", "550 no", "SIZE /b", "550 no", "SIZE /c", "550 no"), found: []string{"", "", ""}},
		{name: "replies out of step end the connection, and groups", script: group("PWD", "200 ok", "NOOP", `257 "/"`, "PWD", `257 "/"`),
			found: []string{"", "", ""}, want: outcome{is: ftpclient.ErrDesync, class: ftpclient.ClassConnection}, learned: "no", dead: true},
		{name: "replies out of step end groups that were proven", known: "yes",
			script: group("SIZE /a", "213 1", "MDTM /a", at, "SIZE /b", `257 "/"`, "MDTM /b", at, "SIZE /c", "213 1", "MDTM /c", at),
			found:  []string{"", "", ""}, want: outcome{is: ftpclient.ErrDesync, class: ftpclient.ClassConnection}, learned: "no", dead: true},
		{name: "a server that hangs up at a group", script: steps{{Expect: "PWD", End: ftptest.Reset}},
			found: []string{"", "", ""}, want: outcome{class: ftpclient.ClassConnection, is: ftpclient.ErrProtocol}, learned: "no", dead: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := session(test.features, test.script)
			if test.dead {
				script = open(test.features, test.script)
			}
			conn, _ := connect(t, script, func(o *ftpclient.Options) { o.Facts.Pipelining = test.known })
			var paths []string
			for i := range test.found {
				paths = append(paths, fmt.Sprintf("/%c", 'a'+i))
			}
			answers, err := conn.StatFiles(t.Context(), paths)
			if test.dead && test.want.is == ftpclient.ErrProtocol {
				if err == nil || ftpclient.Classify(err) != ftpclient.ClassConnection {
					t.Error(err)
				}
			} else {
				test.want.check(t, err)
			}
			if got := conn.Facts().Pipelining; got != test.learned {
				t.Errorf("learned %q, want %q", got, test.learned)
			}
			if conn.Usable() == test.dead {
				t.Errorf("usable: %v", conn.Usable())
			}
			if test.dead {
				return
			}
			for i, a := range answers {
				size := ""
				if a.Found {
					size = fmt.Sprint(a.Entry.Size)
				}
				if size != test.found[i] || a.Path != paths[i] || a.Err != nil {
					t.Errorf("%+v, want %q", a, test.found[i])
				}
			}
			if len(answers) != len(paths) {
				t.Errorf("%d answers", len(answers))
			}
		})
	}
}

func TestModTimes(t *testing.T) {
	const at = "213 20240102030405"
	tests := []struct {
		name    string
		known   string
		script  steps
		told    []string // "" for what the server does not tell
		want    outcome
		learned string
		dead    bool
	}{
		{name: "two files are asked for one by one", script: talk("MDTM /a", at, "MDTM /b", "550 no"), told: []string{"2024", ""}},
		{name: "more are asked for in one write, once that is proven", learned: "yes", told: []string{"2024", "", "2021"},
			script: proof.then(group("MDTM /a", at, "MDTM /b", "550 no", "MDTM /c", "213 20210102030405")...)},
		{name: "what is no time is none", known: "yes", learned: "yes", told: []string{"2024", "", "2021"},
			script: group("MDTM /a", at, "MDTM /b", "213 noon", "MDTM /c", "213 20210102030405")},
		{name: "a server known not to is asked one by one", known: "no", learned: "no", told: []string{"", "", "2024"},
			script: talk("MDTM /a", "550 no", "MDTM /b", "502 no", "MDTM /c", at)},
		{name: "replies out of step end the connection, and groups", known: "yes", learned: "no", dead: true,
			script: group("MDTM /a", at, "MDTM /b", `257 "/"`, "MDTM /c", at), want: outcome{is: ftpclient.ErrDesync, class: ftpclient.ClassConnection}},
		{name: "what cannot be sent is not asked for, and the others are", known: "yes", learned: "yes", told: []string{"2024", "2021", ""},
			script: group("MDTM /a", at, "MDTM /b", "213 20210102030405")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := session("", test.script)
			if test.dead {
				script = open("", test.script)
			}
			conn, _ := connect(t, script, func(o *ftpclient.Options) { o.Facts.Pipelining = test.known })
			paths := []string{"/a", "/b", "/c"}[:max(len(test.told), 2)]
			if test.dead {
				paths = []string{"/a", "/b", "/c"}
			}
			if strings.HasPrefix(test.name, "what cannot be sent") {
				paths[2] = "/c\r\nDELE /c"
			}
			answers, err := conn.ModTimes(t.Context(), paths)
			test.want.check(t, err)
			if got := conn.Facts().Pipelining; got != test.learned {
				t.Errorf("learned %q, want %q", got, test.learned)
			}
			if conn.Usable() == test.dead {
				t.Errorf("usable: %v", conn.Usable())
			}
			var told []string
			for _, a := range answers {
				year := ""
				if a.Err == nil {
					year = a.ModTime.Format("2006")
				}
				told = append(told, year)
			}
			if !slices.Equal(told, test.told) {
				t.Errorf("%q, want %q", told, test.told)
			}
		})
	}
}

func TestGroupsAreBounded(t *testing.T) {
	name := strings.Repeat("x", 1000)
	var script steps
	for range 2 {
		script = script.then(group("MLST /"+name, "550 no", "MLST /"+name, "550 no")...)
	}
	var paths []string
	for range 4 {
		paths = append(paths, "/"+name)
	}
	for i := 0; i < 20; i += 16 {
		var lines []string
		for range min(16, 20-i) {
			lines = append(lines, "MLST /y", "550 no")
		}
		script = script.then(group(lines...)...)
	}
	conn, _ := connect(t, session("MLST", script), proven)
	if _, err := conn.StatFiles(t.Context(), paths); err != nil {
		t.Error(err)
	}
	paths = nil
	for range 20 {
		paths = append(paths, "/y")
	}
	if _, err := conn.StatFiles(t.Context(), paths); err != nil {
		t.Error(err)
	}
}

// A server that drops what comes behind a command has not answered within the time for a reply.
func TestAServerThatDropsCommandsIsNotSentGroups(t *testing.T) {
	for _, test := range []struct {
		name, known string
		script      steps
		patient     bool
		learned     string
		want        outcome
	}{
		{name: "at the proof", script: talk("PWD", `257 "/"`).then(ftptest.Step{Expect: "NOOP"}, ftptest.Step{Expect: "PWD"}),
			patient: true, learned: "no", want: outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassConnection}},
		{name: "in a longer group than that of the proof", known: "yes",
			script:  group("SIZE /a", "213 1", "MDTM /a", "213 20240102030405").then(ftptest.Step{Expect: "SIZE /b"}, ftptest.Step{Expect: "MDTM /b"}, ftptest.Step{Expect: "SIZE /c"}, ftptest.Step{Expect: "MDTM /c"}),
			patient: true, learned: "no", want: outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassConnection}},
		{name: "with a farewell", known: "yes", script: talk("SIZE /a", "213 1").then(ftptest.Step{Expect: "MDTM /a", Send: "421 too fast", End: ftptest.Close}),
			learned: "no", want: outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassConnection}},
		{name: "a farewell at once is no matter of groups", known: "yes", script: steps{{Expect: "SIZE /a", Send: "421 idle for too long", End: ftptest.Close}},
			learned: "yes", want: outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassConnection}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := ftptest.NewPipeScript(t, open("", test.script)...)
				o := testOptions()
				o.DialContext, o.Facts.Pipelining = server.Dial, test.known
				conn := dial(t, t.Context(), server.Addr, o)
				began := time.Now()
				answers, err := conn.StatFiles(t.Context(), []string{"a", "b", "c"})
				test.want.check(t, err)
				if waited := time.Since(began); (waited == o.ReplyTimeout) != test.patient || conn.Facts().Pipelining != test.learned || conn.Usable() || len(answers) != 0 {
					t.Errorf("after %v: %+v", waited, conn.Facts())
				}
			})
		})
	}
}

func TestACancelledProofTeachesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := ftptest.NewPipeScript(t, open("", steps{{Expect: "PWD"}, {Expect: "NOOP"}, {Expect: "PWD"}})...)
		o := testOptions()
		o.DialContext = server.Dial
		conn := dial(t, t.Context(), server.Addr, o)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := conn.StatFiles(ctx, []string{"a", "b", "c"}); err == nil || conn.Facts().Pipelining != "" {
			t.Errorf("%v, %+v", err, conn.Facts())
		}
	})
}

func TestMakeDirs(t *testing.T) {
	const no = "550 no"
	tests := []struct {
		name   string
		home   string
		script steps
		known  string
		want   outcome
	}{
		{name: "one command where the parents are there", script: talk("MKD /a/b/c", "257 ok")},
		{name: "a folder that is there", script: talk("MKD /a/b/c", no, "CWD /a/b/c", "250 ok")},
		{name: "missing parents are made from the top", known: "no",
			script: talk("MKD /a/b/c", no, "CWD /a/b/c", no, "MKD /a", no, "MKD /a/b", "257 ok", "MKD /a/b/c", "257 ok")},
		{name: "the folders that the login landed in are there", home: "/a",
			script: talk("MKD /a/b/c", no, "CWD /a/b/c", no, "MKD /a/b", "257 ok", "MKD /a/b/c", "257 ok")},
		{name: "the cause is that of the parent", known: "no",
			script: talk("MKD /a/b/c", no, "CWD /a/b/c", no, "MKD /a", no, "MKD /a/b", "552 quota exceeded", "MKD /a/b/c", no, "CWD /a/b/c", no),
			want:   outcome{code: 550, class: ftpclient.ClassPermanent}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, landed("/"+strings.TrimPrefix(test.home, "/"), "", test.script), func(o *ftpclient.Options) { o.Facts.Pipelining = test.known })
			err := conn.MakeDirs(t.Context(), "/a/b/c")
			test.want.check(t, err)
			if err != nil && !strings.Contains(err.Error(), "quota") {
				t.Error(err)
			}
		})
	}
}

func TestManyParentsAreMadeInOneWrite(t *testing.T) {
	conn, _ := connect(t, session("", talk("MKD /a/b/c/d", "550 no", "CWD /a/b/c/d", "550 no").then(proof...).
		then(group("MKD /a", "550 exists", "MKD /a/b", "257 ok", "MKD /a/b/c", "257 ok")...).then(talk("MKD /a/b/c/d", "257 ok")...)))
	outcome{}.check(t, conn.MakeDirs(t.Context(), "a/b/c/d"))
}
