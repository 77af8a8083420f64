package ftpclient_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// landed is a session whose login lands in the folder that PWD tells.
func landed(pwd, features string, then steps) steps {
	s := session(features, then)
	for i := range s {
		if s[i].Expect == "PWD" {
			s[i].Send = `257 "` + pwd + `"`
			break
		}
	}
	return s
}

func limit(bytes int) func(*ftpclient.Options) {
	return func(o *ftpclient.Options) { o.CommandLimit = bytes }
}

func TestPathsAreAbsoluteAndClean(t *testing.T) {
	conn, _ := connect(t, landed("/home/ferry", "", talk("DELE /home/ferry/x", "250 ok", "DELE /a/b", "250 ok", "DELE /home/-x", "250 ok",
		"RMD /a", "250 ok", "CWD /home/ferry", "550 no")))
	ctx := t.Context()
	for _, p := range []string{"x", "/a/./c/../b", "../-x"} {
		outcome{}.check(t, conn.Remove(ctx, p))
	}
	outcome{}.check(t, conn.RemoveDir(ctx, "//a/"))
	_, err := conn.List(ctx, "")
	outcome{code: 550, class: ftpclient.ClassPermanent}.check(t, err)
}

func TestLongPathsGoByCWDInSteps(t *testing.T) {
	a, b := strings.Repeat("a", 27), "-"+strings.Repeat("b", 26)
	tests := []struct {
		name   string
		script steps
		do     func(*ftpclient.Conn) error
		want   outcome
	}{
		{"what fits is sent at once", talk("DELE /"+a+"/"+b, "250 ok"),
			func(c *ftpclient.Conn) error { return c.Remove(t.Context(), a+"/"+b) }, outcome{}},
		{"as deep as fits, and a leading dash is no option",
			talk("CWD /"+a+"/"+a, "250 ok", "CWD ./"+b+"/"+a, "250 ok", "DELE ./"+b, "250 ok"),
			func(c *ftpclient.Conn) error {
				return c.Remove(t.Context(), strings.Join([]string{a, a, b, a, b}, "/"))
			}, outcome{}},
		{"a folder that is refused ends it", talk("CWD /"+a+"/"+a, "550 no"),
			func(c *ftpclient.Conn) error { return c.Remove(t.Context(), strings.Join([]string{a, a, b, a}, "/")) },
			outcome{code: 550, class: ftpclient.ClassPermanent}},
		{"the way is gone again each time: folders can be renamed",
			talk("CWD /"+a+"/"+a, "250 ok", "DELE "+a, "250 ok", "CWD /"+a+"/"+a, "250 ok", "DELE x", "250 ok"),
			func(c *ftpclient.Conn) error {
				return errors.Join(c.Remove(t.Context(), "/"+a+"/"+a+"/"+a), c.Remove(t.Context(), "/"+a+"/"+a+"/x"))
			}, outcome{}},
		{"folders are entered the same way to be listed", talk("CWD /"+a+"/"+a, "250 ok", "CWD "+a, "550 no"),
			func(c *ftpclient.Conn) error { _, err := c.List(t.Context(), "/"+a+"/"+a+"/"+a); return err },
			outcome{code: 550, class: ftpclient.ClassPermanent}},
		{"names of a rename are seen from the folder they share",
			talk("CWD /"+a+"/"+a, "250 ok", "RNFR x/y", "350 ok", "RNTO "+a+"/z", "250 ok"),
			func(c *ftpclient.Conn) error {
				return c.Rename(t.Context(), "/"+a+"/"+a+"/x/y", "/"+a+"/"+a+"/"+a+"/z")
			}, outcome{}},
		{"names of a rename that is too long for one folder", nil,
			func(c *ftpclient.Conn) error {
				return c.Rename(t.Context(), "/x/"+a+"/"+a+"/"+a, "/y/"+a+"/"+a+"/"+a)
			}, outcome{is: ftpclient.ErrUnsendable, class: ftpclient.ClassPermanent}},
		{"a single name that is too long", nil,
			func(c *ftpclient.Conn) error { return c.Remove(t.Context(), "/a/"+strings.Repeat("x", 70)) },
			outcome{is: ftpclient.ErrUnsendable, class: ftpclient.ClassPermanent}},
		{"a folder with a name that is too long", nil,
			func(c *ftpclient.Conn) error { return c.Remove(t.Context(), "/"+strings.Repeat("x", 70)+"/a") },
			outcome{is: ftpclient.ErrUnsendable, class: ftpclient.ClassPermanent}},
		{"a line end in a long path is no command", nil,
			func(c *ftpclient.Conn) error {
				return c.Remove(t.Context(), "/"+a+"/"+a+"/x\r\nDELE y/"+a)
			}, outcome{is: ftpclient.ErrUnsendable, class: ftpclient.ClassPermanent}},
		{"the top folder is not renamed", nil,
			func(c *ftpclient.Conn) error { return c.Rename(t.Context(), "/"+a+"/"+a+"/"+a, "/") },
			outcome{is: ftpclient.ErrUnsendable, class: ftpclient.ClassPermanent}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn, _ := connect(t, session("", test.script), limit(64))
			test.want.check(t, test.do(conn))
		})
	}
}

func TestPathsOfOtherSystemsAreWalked(t *testing.T) {
	refused := outcome{code: 550, class: ftpclient.ClassPermanent}
	for _, home := range []string{"DISK$X:[ANON]", "'USER.'", "QGPL", `C:\ftp`} {
		t.Run(home, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, landed(home, "", talk(
				"DELE f", "250 ok", // home is where the login lands
				"CWD a", "250 ok", "CWD b", "250 ok", "DELE f", "250 ok",
				"SIZE g", "213 5", // still there
				"CWD c", "250 ok", "RNFR f", "350 ok", "RNTO g", "250 ok",
				"CWD "+home, "250 ok", "CWD x", "550 no", // and nobody knows where that leaves us
				"CWD "+home, "250 ok", "CWD a", "250 ok", "CWD b", "250 ok", "CWD c", "250 ok", "DELE g", "250 ok",
				"CWD "+home, "250 ok", "CWD a", "250 ok").
				then(sent("LIST", unixLine("f"))...).then(talk("MKD b", "257 ok")...)),
				func(o *ftpclient.Options) { o.Facts.ListAll = "no" })
			ctx := t.Context()
			if conn.Home() != "/" || conn.Absolute("f") != "/f" {
				t.Errorf("home %q", conn.Home())
			}
			outcome{}.check(t, conn.Remove(ctx, "f"))
			outcome{}.check(t, conn.Remove(ctx, "/a/b/f"))
			if size, err := conn.Size(ctx, "/a/b/g"); err != nil || size != 5 {
				t.Errorf("%d, %v", size, err)
			}
			outcome{}.check(t, conn.Rename(ctx, "/a/b/c/f", "/a/b/c/g"))
			refused.check(t, conn.Remove(ctx, "/x/f"))
			outcome{}.check(t, conn.Remove(ctx, "/a/b/c/g"))
			if l, err := conn.List(ctx, "/a"); err != nil || len(l.Entries) != 1 {
				t.Errorf("%+v, %v", l, err)
			}
			outcome{}.check(t, conn.MakeDir(ctx, "/a/b"))
			outcome{is: ftpclient.ErrUnsupported, class: ftpclient.ClassPermanent}.check(t, conn.Rename(ctx, "/a/f", "/b/f"))
			outcome{is: ftpclient.ErrUnsupported, class: ftpclient.ClassPermanent}.check(t, conn.Rename(ctx, "/a/b/f", "/a/g"))
		})
	}
}

func TestNamesAreEncodedOnTheWire(t *testing.T) {
	features := "211-F\n UTF8\n MLST type*;\n211 End"
	tests := []struct {
		name, encoding, known, features string
		listed, names                   []string
		learned, incomplete             string
	}{
		{name: "UTF-8 where FEAT says so", features: features, listed: []string{"ü", "\xfc"}, names: []string{"ü", "\xfc"}, learned: "utf-8"},
		{name: "FEAT knows better than what was learned", known: "latin1", features: features,
			listed: []string{"ü"}, names: []string{"ü"}, learned: "utf-8"},
		{name: "the first names decide for UTF-8", listed: []string{"a", "ü"}, names: []string{"a", "ü"}, learned: "utf-8"},
		{name: "the first names decide for latin1", listed: []string{"a", "\xfc"}, names: []string{"a", "ü"}, learned: "latin1"},
		{name: "ASCII decides nothing", listed: []string{"a"}, names: []string{"a"}},
		{name: "what was learned holds, against names in UTF-8, too", known: "latin1", listed: []string{"\xfc", "\xc3\xbc"}, names: []string{"ü"}, learned: "latin1",
			incomplete: `"ü" is not written in latin1`},
		{name: "UTF-8 by accident is latin1 if the options say so", encoding: "latin1", listed: []string{"\xc3\xbc"}, names: []string{"Ã¼"}},
		{name: "what was learned holds for UTF-8, too", known: "utf-8", listed: []string{"\xfc"}, names: []string{"\xfc"}, learned: "utf-8",
			incomplete: "is not written in utf-8"},
		{name: "names in two encodings at first sight", listed: []string{"\xfc", "ü"}, names: []string{"\xfc", "ü"}, learned: "utf-8",
			incomplete: "is not written in utf-8"},
		{name: "bytes that are no UTF-8 pass if the options say so", encoding: "utf-8", listed: []string{"\xfc", "ü"}, names: []string{"\xfc", "ü"}},
		{name: "nonsense was not learned", known: "nonsense", listed: []string{"\xfc"}, names: []string{"ü"}, learned: "latin1"},
		{name: "the encoding of the options", encoding: "windows-1251", listed: []string{"\xcf\xf0\xe8", "\x98"}, names: []string{"При", "\x98"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := steps{cwd}.then(sent("LIST", linesOf(test.listed)...)...)
			for _, raw := range test.listed {
				if test.learned == "latin1" && utf8.ValidString(raw) && raw != "a" {
					continue // it does not get a name
				}
				script = script.then(talk("DELE /d/"+raw, "250 ok")...)
			}
			script = session("", script)
			if test.features != "" {
				for i := range script {
					if script[i].Expect == "FEAT" {
						script[i].Send = strings.ReplaceAll(test.features, " MLST type*;\n", "")
						script = append(script[:i+1:i+1], append(talk("OPTS UTF8 ON", "200 ok"), script[i+1:]...)...)
						break
					}
				}
			}
			conn, _ := connect(t, script, func(o *ftpclient.Options) {
				o.Encoding, o.Facts.Encoding, o.Facts.ListAll = test.encoding, test.known, "no"
			})
			l, err := conn.List(t.Context(), "/d")
			if err != nil {
				t.Fatal(err)
			}
			if (l.Incomplete == "") != (test.incomplete == "") || !strings.Contains(l.Incomplete, test.incomplete) {
				t.Errorf("incomplete: %q, want %q", l.Incomplete, test.incomplete)
			}
			var got []string
			for _, entry := range l.Entries {
				got = append(got, entry.Name)
				if err := conn.Remove(t.Context(), "/d/"+entry.Name); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(test.names, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if learned := conn.Facts().Encoding; learned != test.learned && test.encoding == "" {
				t.Errorf("learned %q, want %q", learned, test.learned)
			}
		})
	}
}

// TestNamesThatAServerTookDecideHowOthersAreRead: otherwise those sent before and after a listing would differ.
func TestNamesThatAServerTookDecideHowOthersAreRead(t *testing.T) {
	for _, test := range []struct {
		name, taken, reply, encoding, learned string
		mixed                                 bool
	}{
		{name: "UTF-8", taken: "ü", reply: "257 Made.", learned: "utf-8", mixed: true},
		{name: "bytes that are no UTF-8", taken: "\xe4", reply: "257 Made.", learned: "utf-8", mixed: true},
		{name: "ASCII tells nothing", taken: "a", reply: "257 Made.", learned: "latin1"},
		{name: "nor does what was refused", taken: "ü", reply: "553 No.", learned: "latin1"},
		{name: "the options count", taken: "\xe4", reply: "257 Made.", encoding: "latin1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := talk("MKD /"+test.taken, test.reply)
			if test.reply[0] == '5' {
				script = script.then(talk("CWD /"+test.taken, "550 No.")...)
			}
			script = script.then(cwd).then(sent("LIST", unixLine("\xfc"))...)
			conn, _ := connect(t, session("", script), func(o *ftpclient.Options) { o.Encoding, o.Facts.ListAll = test.encoding, "no" })
			if err := conn.MakeDir(t.Context(), "/"+test.taken); (err != nil) != (test.reply[0] == '5') {
				t.Fatal(err)
			}
			l, err := conn.List(t.Context(), "/d")
			if err != nil || l.Mixed != test.mixed || len(l.Entries) != 1 {
				t.Fatalf("%+v, %v", l, err)
			}
			if listed := conn.Listed("\xfc"); listed != l.Entries[0].Name {
				t.Errorf("listed as %q, said to be %q", l.Entries[0].Name, listed)
			}
			if learned := conn.Facts().Encoding; learned != test.learned {
				t.Errorf("learned %q, want %q", learned, test.learned)
			}
		})
	}
}

func linesOf(names []string) (lines []string) {
	for _, name := range names {
		lines = append(lines, unixLine(name))
	}
	return lines
}

func TestNamesThatCannotBeSent(t *testing.T) {
	// A server that could do UTF-8 is not asked to when the names are said to be in another encoding.
	conn, _ := connect(t, session("UTF8,MLST", nil), func(o *ftpclient.Options) { o.Encoding = "koi8-r" })
	err := conn.Rename(t.Context(), "/a", "/日")
	outcome{is: ftpclient.ErrUnsendable, class: ftpclient.ClassPermanent}.check(t, err)
	if !strings.Contains(err.Error(), "koi8-r") || !strings.Contains(err.Error(), "日") {
		t.Error(err)
	}
}

func TestNamesThatCouldNotBeAskedForMakeAListingIncomplete(t *testing.T) {
	conn, _ := connect(t, session("MLST", steps{cwd}.then(sent("MLSD", mlsdLine("a"), mlsdLine("\xc3\x81"))...)),
		func(o *ftpclient.Options) { o.Encoding = "windows-1252" })
	l, err := conn.List(t.Context(), "/d")
	if err != nil || l.Incomplete == "" || len(l.Entries) != 1 || len(l.Unparsed) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestAnEncodingThatDoesNotExist(t *testing.T) {
	o := testOptions()
	o.Encoding = "windows-1521"
	_, err := ftpclient.Dial(t.Context(), "127.0.0.1:1", o)
	if err == nil || !strings.Contains(err.Error(), "no encoding is named") {
		t.Error(err)
	}
}

func TestTelnetBytesAreDoubledForProFTPD(t *testing.T) {
	conn, _ := connect(t, session("MLST", talk("DELE /\xff\xff", "250 ok")), func(o *ftpclient.Options) { o.Facts.Server = "proftpd" })
	outcome{}.check(t, conn.Remove(t.Context(), "/\xff"))
	conn, _ = connect(t, session("", talk("DELE /\xff", "250 ok")))
	outcome{}.check(t, conn.Remove(t.Context(), "/\xff"))
}

func TestTheHomeFolderIsEvidenceOfTheEncoding(t *testing.T) {
	conn, _ := connect(t, landed("/gr\xfcn", "", talk("DELE /gr\xfcn/\xe4", "250 ok")))
	if home := conn.Home(); home != "/grün" {
		t.Errorf("%q", home)
	}
	outcome{}.check(t, conn.Remove(t.Context(), "ä"))
}

func TestOpenVMSDeletesVersions(t *testing.T) {
	const home = "DISK$X:[ANON]"
	tests := []struct {
		name, path string
		script     steps
		want       outcome
	}{
		{"a name is enough for some servers", "/A.TXT", talk("DELE A.TXT", "250 ok"), outcome{}},
		{"others want a version", "/A.TXT", talk("DELE A.TXT", "550 %DELETE-E-DELVER, explicit version number or wild card required", "DELE A.TXT;0", "250 ok"), outcome{}},
		{"the version may be told", "/A.TXT;3", talk("DELE A.TXT;3", "550 no"), outcome{code: 550, class: ftpclient.ClassPermanent}},
		{"a version that does not help", "/A.TXT", talk("DELE A.TXT", "550 no", "DELE A.TXT;0", "550 not at all"), outcome{code: 550, class: ftpclient.ClassPermanent}},
		{"what is not there has no version", "/A.TXT", talk("DELE A.TXT", "550 %RMS-E-FNF, file not found"),
			outcome{is: fs.ErrNotExist, code: 550, class: ftpclient.ClassPermanent}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, landed(home, "", test.script), func(o *ftpclient.Options) { o.Facts.Server = "vms" })
			test.want.check(t, conn.Remove(t.Context(), test.path))
		})
	}
	conn, _ := connect(t, session("", talk("DELE /A.TXT", "550 no")))
	outcome{code: 550, class: ftpclient.ClassPermanent}.check(t, conn.Remove(t.Context(), "/A.TXT"))
}

func TestTheCurrentFolderIsNoPartOfAnother(t *testing.T) {
	conn, _ := connect(t, landed("QGPL", "", talk("CWD a", "250 ok", "DELE f", "250 ok", "CWD QGPL", "250 ok", "CWD ab", "250 ok", "DELE f", "250 ok")))
	outcome{}.check(t, conn.Remove(t.Context(), "/a/f"))
	outcome{}.check(t, conn.Remove(t.Context(), "/ab/f"))
}

func TestARenameOfWhichOneNameIsLong(t *testing.T) {
	long := "/" + strings.Repeat("d", 50)
	conn, _ := connect(t, session("", talk("CWD "+long, "250 ok", "RNFR x", "350 ok", "RNTO "+strings.Repeat("y", 20), "250 ok",
		"CWD "+long, "250 ok", "RNFR "+strings.Repeat("y", 20), "350 ok", "RNTO x", "250 ok")), limit(64))
	outcome{}.check(t, conn.Rename(t.Context(), long+"/x", long+"/"+strings.Repeat("y", 20)))
	outcome{}.check(t, conn.Rename(t.Context(), long+"/"+strings.Repeat("y", 20), long+"/x"))
}

func TestTargetsOfLinksAreDecoded(t *testing.T) {
	conn, _ := connect(t, session("", steps{cwd}.then(sent("LIST", "lrwxrwxrwx   1 ferry ferry  4 Jan 02  2024 a -> \xe4/b\r\n", unixLine("\xfc"))...)),
		func(o *ftpclient.Options) { o.Facts.ListAll = "no" })
	l, err := conn.List(t.Context(), "/d")
	if err != nil || len(l.Entries) != 2 || l.Entries[0].Target != "ä/b" || l.Entries[1].Name != "ü" {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestTheHomeFolderIsNotGuessedWhenItIsNotToldForTheMoment(t *testing.T) {
	script := session("", nil)
	for i := range script {
		if script[i].Expect == "PWD" {
			script[i].Send = "451 later"
			script = script[:i+1]
			break
		}
	}
	server := ftptest.NewScript(t, script...)
	_, err := ftpclient.Dial(t.Context(), server.Addr, testOptions())
	outcome{code: 451, class: ftpclient.ClassUnavailable}.check(t, err)
}
