package ftpclient_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// TestLookAndListing: replies are held back until all commands of a write are there.
func TestLookAndListing(t *testing.T) {
	t.Parallel()
	const folder = "250-here\n type=dir;unique=1U2; a\n250 end\n"
	asked := func(reply string, lines ...string) steps { // for a look and a data connection
		return inOneWrite(ftptest.Step{Passive: true, Send: reply + "229 Entering Extended Passive Mode (|||{port}|)"}, lines...)
	}
	alone := func(dialogue ...string) steps {
		return talk(dialogue...).then(ftptest.Step{Expect: "EPSV", Passive: true})
	}
	listed := func(before, text string, lines ...string) steps {
		data := &ftptest.Data{Send: text, End: ftptest.Close}
		return inOneWrite(ftptest.Step{Send: before + "150 here", Data: data}, append(lines, "EPSV")...).then(ftptest.Step{Send: "226 done"}, nextPort)
	}
	const mlsd, ls = "type=file;size=1; one\r\n", "-rw-r--r-- 1 u g 1 Jan 01 2024 one\r\n"
	tests := []struct {
		name, features string
		script         steps
		more           bool // of the listing, the second time
		absent         bool
	}{
		{name: "a way that is not known to work is asked for by itself: a firewall may answer that at once", features: "MLST type*;size*;",
			script: alone("MLST /a", strings.TrimSpace(folder)).then(listed("250 ok\n", mlsd, "CWD /a", "MLSD")...)},
		{name: "the second time", features: "MLST type*;size*;", more: true,
			script: alone("MLST /a", strings.TrimSpace(folder)).then(listed("250 ok\n", mlsd, "CWD /a", "MLSD")...).
				then(asked(folder, "MLST /a", "EPSV")...).then(listed("250 ok\n", mlsd, "CWD /a", "MLSD")...)},
		{name: "LIST, of which is not known whether it takes -a", more: true,
			script: alone("SIZE /a", "550 no file", "CWD /a", "250 ok").
				then(listed("250 ok\n", ls, "CWD /a", "LIST")...).then(listed("", ls, "LIST -a")...).
				then(asked("550 no file\n250 ok\n", "SIZE /a", "CWD /a", "EPSV")...).then(listed("250 ok\n", ls, "CWD /a", "LIST -a")...)},
		{name: "EPSV is refused, which is not asked again", features: "MLST type*;size*;",
			script: talk("MLST /a", strings.TrimSpace(folder), "EPSV", "500 what?").then(ftptest.Step{Expect: "PASV", Passive: true}).
				then(inOneWrite(ftptest.Step{Send: "250 ok\n150 here", Data: &ftptest.Data{Send: mlsd, End: ftptest.Close}}, "CWD /a", "MLSD", "EPSV")...).
				then(ftptest.Step{Send: "226 done\n500 what?"})},
		{name: "only PORT is left, around which nothing goes", features: "MLST type*;size*;",
			script: talk("MLST /a", strings.TrimSpace(folder), "EPSV", "500 what?").then(talk("PASV", "500 what?")...).then(surveyed...).
				then(provenWay("/a", "PORT")...).then(talk("CWD /a", "250 ok", "PORT *", "200 ok", "CWD /a", "250 ok")...).
				then(ftptest.Step{Expect: "MLSD", Send: "150 here", Data: &ftptest.Data{Send: mlsd, End: ftptest.Close}}, ftptest.Step{Send: "226 done"})},
		{name: "there is none", features: "MLST type*;size*;", absent: true, script: talk("MLST /a", "550 No such file or directory")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session(test.features, test.script), knownServer, func(o *ftpclient.Options) { o.Facts.LoginAtOnce = "broke" })
			defer conn.Close()
			for _, again := range []bool{false, true} {
				if again && !test.more {
					break
				}
				e, err := conn.StatAhead(t.Context(), "/a")
				if test.absent {
					if !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%+v, %v", e, err)
					}
					return
				}
				if err != nil || e.Type != list.Dir || e.Name != "a" {
					t.Fatalf("%+v, %v", e, err)
				}
				if l, err := conn.ListAhead(t.Context(), "/a", true); err != nil || len(l.Entries) != 1 || l.Incomplete != "" {
					t.Fatalf("%v, %+v", err, l)
				}
			}
		})
	}
}
