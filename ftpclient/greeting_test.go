package ftpclient

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

func TestServersAreKnownByWhatTheySay(t *testing.T) {
	for text, want := range map[string]string{
		"(vsFTPd 3.0.3)": "vsftpd",
		"ProFTPD 1.3.8 Server (Debian) [::ffff:127.0.0.1]":                   "proftpd",
		"---------- Welcome to Pure-FTPd [privsep] [TLS] ----------":         "pure-ftpd",
		"pyftpdlib 1.5.7 ready.":                                             "pyftpdlib",
		"FileZilla Server 1.8.2":                                             "filezilla",
		"Microsoft FTP Service":                                              "iis",
		"Serv-U FTP Server v15.4 ready...":                                   "serv-u",
		"ftp.example FTP server (Version wu-2.6.2(1) Mon Dec 3 2001) ready.": "wu-ftpd",
		"FTPSERVE IBM FTP CS V2R4 at SYS1, 10:00:00 on 2024-01-01.":          "mvs",
		"QTCP at as400.example.":                                             "os400",
		"NcFTPd Server (licensed copy) ready.":                               "ncftpd",
		"ready":                                                              "",
	} {
		if got := servers.of(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"Windows_NT": "iis",
		"MVS is the operating system of this server. FTP Server is running on z/OS.": "mvs",
		"VMS OpenVMS V8.4": "vms",
		" OS/400 is the remote operating system. The TCP/IP version is \"V7R3M0\".": "os400",
		"UNIX Type: L8": "",
	} {
		if got := systems.of(text); got != want {
			t.Errorf("SYST %q: %q, want %q", text, got, want)
		}
	}
	if got := serverKindByFeatures(parseFeatures([]string{"Extensions:", " ESTA", " ESTP", "End"})); got != "pure-ftpd" {
		t.Errorf("by features: %q", got)
	}
	if got := serverKindByFeatures(parseFeatures([]string{"Features:", " SITE MKDIR", " SITE RMDIR", " SITE UTIME", "End"})); got != "proftpd" {
		t.Errorf("by features: %q", got)
	}
	if got := serverKindByFeatures(parseFeatures([]string{"Features:", " SIZE", "End"})); got != "" {
		t.Errorf("by features: %q", got)
	}
}

func TestIdleLimitsAreRead(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"You will be disconnected after 15 minutes of inactivity.":      15 * time.Minute,
		"You will be disconnected after 1 minute of inactivity":         time.Minute,
		"Idle timeout: 300 seconds":                                     5 * time.Minute,
		"inactivity timeout is 2 hours":                                 2 * time.Hour,
		"Local time is now 15:00. Server port: 21.":                     0,
		"15 minutes of fame":                                            0,
		"disconnected after 99999999999999999999 minutes of inactivity": 0,
	} {
		if got := idleLimit(text); got != want && !(want == 0 && got < 0) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestFeaturesHaveParameters(t *testing.T) {
	f := parseFeatures([]string{"211-extensions", "\tAUTH\tTLS;SSL;TLS-C;", " auth TLS-P", "SITE CHMOD", " SITE UTIME", " MLST Type*;Size*;Modify;", "211-EPSV", "SIZE", "END"})
	if got := f.Parameters("auth"); !slices.Equal(got, []string{"TLS", "SSL", "TLS-C", "TLS-P"}) {
		t.Errorf("AUTH: %q", got)
	}
	for _, has := range [][2]string{{"AUTH", "tls"}, {"site", "utime"}, {"SITE", "CHMOD"}, {"MLST", "size"}, {"MLST", "modify"}} {
		if !f.HasParameter(has[0], has[1]) {
			t.Errorf("%q is missing in %v", has, f)
		}
	}
	if f.HasParameter("SITE", "RMDIR") || f.HasParameter("HASH", "x") || !f.Has("EPSV") || !f.Has("SIZE") || f.Has("END") {
		t.Errorf("%v", f)
	}
	if f := parseFeatures([]string{"MDTM", " SIZE", "UTF8"}); len(f) != 3 {
		t.Errorf("a list without a frame: %v", f)
	}
}

func TestNotResumed(t *testing.T) {
	tests := []struct {
		name      string
		code      int
		text      string
		protected bool
		server    string
		want      bool
	}{
		{"vsftpd", 522, "SSL connection failed: session reuse required", true, "vsftpd", true},
		{"vsftpd's long form", 522, "SSL connection failed; session reuse required: see require_ssl_reuse option in vsftpd.conf man page", true, "vsftpd", true},
		{"ProFTPD", 425, "Unable to build data connection: Operation not permitted", true, "proftpd", true},
		{"ProFTPD behind another greeting", 425, "Unable to build data connection: Operation not permitted", true, "", true},
		{"FileZilla Server", 425, "Unable to build data connection: TLS session of data connection not resumed.", true, "filezilla", true},
		{"old FileZilla Server", 450, "TLS session of data connection has not resumed or the session does not match the control connection", true, "", true},
		{"the same words of another server", 425, "Unable to build data connection: Operation not permitted", true, "wsftp", false},
		{"without TLS", 425, "Unable to build data connection: Operation not permitted", false, "proftpd", false},
		{"another cause", 425, "Unable to build data connection: Connection refused", true, "proftpd", false},
		{"protection is wanted", 522, "Data connections must be encrypted.", true, "vsftpd", false},
		{"no refusal", 226, "Transfer complete, session reuse is fine", true, "", false},
	}
	for _, test := range tests {
		if got := notResumed(test.code, test.text, test.protected, test.server); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestASessionThatCannotBeResumedIsExplained(t *testing.T) {
	began := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		resumed []bool // data connections, the refused one last
		age     time.Duration
		want    error
	}{
		{"the first data connection is refused", []bool{false}, time.Second, ErrNotResumed},
		{"the first is refused although it resumed", []bool{true}, time.Second, ErrNotResumed},
		{"no data connection came so far", nil, time.Second, ErrNotResumed},
		{"one has worked before", []bool{true, false}, time.Second, ErrTicketExpired},
		{"one has worked before, and the ticket is too old by now", []bool{true, true}, time.Second, ErrTicketExpired},
		{"the session is old", []bool{false}, oldSession + 1, ErrTicketExpired},
	}
	for _, test := range tests {
		s := &tlsSession{began: began}
		for _, resumed := range test.resumed {
			s.note(resumed)
		}
		err := s.refusal(began.Add(test.age))
		if !errors.Is(err, test.want) || errors.Is(err, ErrNotResumed) == errors.Is(err, ErrTicketExpired) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestFactsEndWithTheServer: what was learned about one server keeps files from another.
func TestFactsEndWithTheServer(t *testing.T) {
	learned := Facts{Server: "pure-ftpd", OddNames: "ends with a blank=changed", Pipelining: "yes"}
	for greeting, want := range map[string]Facts{
		"(vsFTPd 3.0.3)":               {Server: "vsftpd"},
		"Welcome to Pure-FTPd":         learned,
		"a greeting that says no kind": learned,
	} {
		c := &Conn{facts: learned}
		c.hearGreeting(control.Reply{Code: 220, Lines: []string{greeting}})
		if c.facts != want {
			t.Errorf("%q: %+v, want %+v", greeting, c.facts, want)
		}
	}
}
