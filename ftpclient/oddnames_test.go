package ftpclient_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
)

func TestOddName(t *testing.T) {
	for name, want := range map[string]string{
		"plain": "", "in side": "", ".hidden": "", "ü": "", " a": "begins with a blank", "a ": "ends with a blank", "a.": "ends with a dot",
		"a\tb": "has a control character", "a\u0085": "has a control character", "\xff": "is not valid UTF-8",
	} {
		if got := ftpclient.OddName(name); got != want {
			t.Errorf("%q %q, want %q", name, got, want)
		}
	}
}

func TestStoredAs(t *testing.T) {
	changed := outcome{is: ftpclient.ErrNameChanged, class: ftpclient.ClassPermanent}
	tests := []struct {
		name, stored string
		lines        []string
		now          string
		want         outcome
	}{
		{"the name itself", "a ", []string{unixLine("a"), unixLine("a ")}, "a ", outcome{}},
		{"blanks become another sign", "a ", []string{unixLine("b"), unixLine("a_")}, "a_", changed},
		{"blanks are cut off", " a ", []string{unixLine("a")}, "a", changed},
		{"dots are cut off", "a.", []string{unixLine("a")}, "a", changed},
		{"capitals", "read me", []string{unixLine("READ ME")}, "READ ME", changed},
		{"accents are composed", "u\u0308", []string{unixLine("ü")}, "ü", changed},
		{"bytes that are no UTF-8", "a\xffb", []string{unixLine("a?b")}, "a?b", changed},
		{"one of several", "a ", []string{unixLine("a"), unixLine("a_")}, "", changed},
		{"nothing like it", "a", []string{unixLine("b")}, "", outcome{is: fs.ErrNotExist, code: 550, class: ftpclient.ClassPermanent}},
		{"nothing like it where hidden names may be left out", ".a", []string{unixLine("b")}, "", outcome{is: ftpclient.ErrIncomplete, class: ftpclient.ClassRetry}},
		{"nothing like it as far as one can see", "a", []string{unixLine("b"), "garbage\r\n"}, "",
			outcome{is: ftpclient.ErrIncomplete, class: ftpclient.ClassRetry}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session("", steps{cwd}.then(sent("LIST", test.lines...)...)), func(o *ftpclient.Options) { o.Facts.ListAll = "no" })
			now, err := conn.StoredAs(t.Context(), "/d/"+test.stored)
			test.want.check(t, err)
			if now != test.now {
				t.Errorf("%q", now)
			}
		})
	}
}

func TestCaseInsensitive(t *testing.T) {
	listed := func(lines ...string) steps { return steps{cwd}.then(sent("LIST", lines...)...) }
	tests := []struct {
		name, features, learned string
		script                  steps
		want                    outcome
	}{
		{"CSID says yes", "CSID", "yes", talk("CSID Name=ftpferry;", "200 Name=X; CaseSensitive=0;"), outcome{}},
		{"CSID says no", "CSID", "no", talk("CSID Name=ftpferry;", "200 Name=X; CaseSensitive=1;"), outcome{}},
		{"CSID says nothing", "CSID", "yes",
			talk("CSID Name=ftpferry;", "200 ok").then(listed(unixLine("Ab"))...).then(talk("SIZE /d/aB", "213 5", "MDTM /d/aB", "500 no")...), outcome{}},
		{"a file that has no other case", "", "no", listed(unixLine("Ab")).then(talk("SIZE /d/aB", "550 no")...), outcome{}},
		{"two files", "", "no", listed(unixLine("Ab"), unixLine("aB")), outcome{}},
		{"no file to try it with", "", "", listed(unixLine("x")), outcome{is: fs.ErrNotExist}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session(test.features, test.script), func(o *ftpclient.Options) { o.Facts.ListAll = "no" })
			for range 2 { // the second time from memory
				got, err := conn.CaseInsensitive(t.Context(), "/d/Ab")
				if !errors.Is(err, test.want.is) || got != (test.learned == "yes") {
					t.Errorf("%v, %v", got, err)
				}
				if err != nil {
					break
				}
			}
			if got := conn.Facts().CaseInsensitive; got != test.learned {
				t.Errorf("learned %q", got)
			}
		})
	}
}

func TestCaseIsNotFoundOutByANameWithoutLetters(t *testing.T) {
	conn, _ := connect(t, session("", nil))
	_, err := conn.CaseInsensitive(t.Context(), "/d/12")
	outcome{is: ftpclient.ErrUnsupported, class: ftpclient.ClassPermanent}.check(t, err)
}
