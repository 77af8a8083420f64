package ftpclient_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestRealServersTellWhatTheyAre(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{})
			conn := dial(t, t.Context(), server.Addr, optionsFor(server, securities[0]))
			f := conn.Facts()
			if f.Server != name {
				t.Errorf("%q", f.Server)
			}
			if idle := f.IdleLimit.Duration(); (idle == 15*time.Minute) != (name == "pure-ftpd") {
				t.Errorf("idle limit: %s", idle)
			}
			again, err := conn.Redial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if !again.Usable() || again.Facts() != f {
				t.Errorf("the second connection: %+v", again.Facts())
			}
		})
	}
}

// TestRealServersThatDemandResumptionAreUnderstood makes a client that does not resume.
func TestRealServersThatDemandResumptionAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"vsftpd", "proftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: true})
			for _, s := range securities[1:] {
				o := optionsFor(server, s)
				o.TLSConfig.SessionTicketsDisabled = true
				conn := dial(t, t.Context(), server.Addr, o)
				_, err := put(t.Context(), conn, conn.Absolute("f"), strings.NewReader("hello"))
				if !errors.Is(err, ftpclient.ErrNotResumed) || errors.Is(err, ftpclient.ErrTicketExpired) {
					t.Errorf("%s: %v", s.name, err)
				}
				if conn.Usable() {
					t.Errorf("%s: the connection is used on", s.name)
				}
			}
		})
	}
}

// TestAServerWithoutSessionTicketsIsToldTheCure: each of the cures that the error names is one.
func TestAServerWithoutSessionTicketsIsToldTheCure(t *testing.T) {
	tests := []struct {
		name    string
		options ftptest.RealOptions
		works   bool
	}{
		{"TLS 1.2 and no tickets", ftptest.RealOptions{MaxTLS: tls.VersionTLS12}, false},
		{"TLSSessionTickets on", ftptest.RealOptions{MaxTLS: tls.VersionTLS12, SessionTickets: true}, true},
		{"NoSessionReuseRequired", ftptest.RealOptions{MaxTLS: tls.VersionTLS12, NoSessionReuse: true}, true},
		{"allow TLS 1.3", ftptest.RealOptions{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.options.RequireTLS = true
			server := ftptest.Real(t, "proftpd", test.options)
			o := optionsFor(server, securities[1])
			o.TLSConfig.MaxVersion = tls.VersionTLS13
			conn := dial(t, t.Context(), server.Addr, o)
			_, err := put(t.Context(), conn, conn.Absolute("f"), strings.NewReader("hello"))
			if test.works {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ftpclient.ErrNotResumed) || ftpclient.Classify(err) != ftpclient.ClassSetup {
				t.Fatal(err)
			}
			for _, cure := range tests[1:] {
				if !strings.Contains(err.Error(), cure.name) {
					t.Errorf("the error does not say %q: %v", cure.name, err)
				}
			}
			if strings.Contains(err.Error(), "limit TLS") {
				t.Errorf("TLS is limited already: %v", err)
			}
		})
	}
}

func TestATicketThatHasRunOutIsToldFromASetUpThatCannotWork(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			config := certified(t, v.version)
			// It has the same certificate and other ticket keys, as a server that was restarted.
			restarted := &tls.Config{Certificates: config.Certificates, MinVersion: v.version, MaxVersion: v.version}
			conn, _ := connect(t, secureOpen(&ftptest.TLS{Config: config}, steps{
				passive,
				{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: &ftptest.TLS{Config: config, MustResume: true}, Send: "hello", End: ftptest.Close}},
				{Send: "226 done"},
				passive,
				{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: &ftptest.TLS{Config: restarted}, End: ftptest.Close}},
				{Send: "425 Unable to build data connection: TLS session of data connection not resumed."},
			}), secure)
			if content, _, err := get(t.Context(), conn, "/f"); err != nil || content != "hello" {
				t.Fatalf("%q, %v", content, err)
			}
			_, _, err := get(t.Context(), conn, "/f")
			if !errors.Is(err, ftpclient.ErrTicketExpired) || errors.Is(err, ftpclient.ErrNotResumed) {
				t.Error(err)
			}
		})
	}
}

// TestATicketThatHasRunOutIsKnownByTheReplyAlsoToAWriter, whose write fails before the reply comes.
func TestATicketThatHasRunOutIsKnownByTheReplyAlsoToAWriter(t *testing.T) {
	config := certified(t, tls.VersionTLS13)
	restarted := &tls.Config{Certificates: config.Certificates, MinVersion: tls.VersionTLS13}
	failed := make(chan struct{})
	conn, _ := connect(t, secureOpen(&ftptest.TLS{Config: config}, steps{
		passive,
		{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: &ftptest.TLS{Config: config, MustResume: true}, Send: "hello", End: ftptest.Close}},
		{Send: "226 done"},
		passive,
		{Expect: "STOR /g", Send: "150 go", Data: &ftptest.Data{TLS: &ftptest.TLS{Config: restarted}, End: ftptest.Reset}},
		{Hold: failed, Send: "425 Unable to build data connection: TLS session of data connection not resumed."},
	}), secure)
	if _, _, err := get(t.Context(), conn, "/f"); err != nil {
		t.Fatal(err)
	}
	transfer, err := conn.Store(t.Context(), "/g", 0)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = transfer.Write(make([]byte, 1<<16))
	}
	close(failed)
	if _, err := transfer.Finish(t.Context()); !errors.Is(err, ftpclient.ErrTicketExpired) || ftpclient.Classify(err) != ftpclient.ClassConnection {
		t.Errorf("%v, classified %s", err, ftpclient.Classify(err))
	}
}
