package ftpclient_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

var versions = []struct {
	name    string
	version uint16
}{{"TLS 1.2", tls.VersionTLS12}, {"TLS 1.3", tls.VersionTLS13}}

// TestASecureUploadArrivesWholeAtASlowServer is about session tickets that come when nobody
// reads any more: closing over them makes the kernel reset the connection, and the server
// loses what it has not read by then.
func TestASecureUploadArrivesWholeAtASlowServer(t *testing.T) {
	const size = 1 << 20
	want := string(content(9, size))
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			config := certified(t, v.version)
			data := &ftptest.TLS{Config: config, LateTickets: v.version == tls.VersionTLS13, MustResume: v.version == tls.VersionTLS12}
			conn, server := connect(t, secureSession(&ftptest.TLS{Config: config}, steps{
				passive,
				{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{
					TLS: data, Receive: ftptest.All, Pace: time.Millisecond, End: ftptest.Close,
				}},
				{Send: "226 done"},
			}), secure)
			result, err := put(t.Context(), conn, "/f", bytes.NewReader([]byte(want)))
			if err != nil {
				t.Fatal(err)
			}
			if got := server.Received(); got != want {
				t.Errorf("%d bytes arrived of the %d that the server calls complete", len(got), size)
			}
			if result.Bytes != size {
				t.Errorf("%+v", result)
			}
		})
	}
}

func TestSecureDownload(t *testing.T) {
	for _, v := range versions {
		for _, cut := range []bool{false, true} {
			name := v.name + ", ended in order"
			if cut {
				name = v.name + ", ended below TLS"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				config := certified(t, v.version)
				data := &ftptest.TLS{Config: config, MustResume: true, NoCloseNotify: cut}
				script := steps{
					passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: data, Send: "hello", End: ftptest.Close}},
					{Send: "226 done"},
				}
				if cut {
					script = script.then(talk("SIZE /f", "213 5")...)
				}
				conn, _ := connect(t, secureSession(&ftptest.TLS{Config: config}, script), secure)
				content, result, err := get(t.Context(), conn, "/f")
				if err != nil || content != "hello" {
					t.Errorf("%q, %v", content, err)
				}
				if !result.TLSResumed || result.CleanEnd == cut {
					t.Errorf("%+v", result)
				}
			})
		}
	}
}

// TestSecureFilesWithoutBytes is about handshakes: without bytes, nothing else starts them, and
// servers refuse what they call a data connection that was never made.
func TestSecureFilesWithoutBytes(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			config := certified(t, v.version)
			data := &ftptest.TLS{Config: config, MustResume: true}
			conn, server := connect(t, secureSession(&ftptest.TLS{Config: config}, steps{
				passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{TLS: data, Receive: ftptest.All, End: ftptest.Close}}, {Send: "226 done"},
				passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: data, End: ftptest.Close}}, {Send: "226 done"},
			}), secure)
			if result, err := put(t.Context(), conn, "/f", strings.NewReader("")); err != nil || result.Bytes != 0 || !result.Confirmed || !result.TLSResumed {
				t.Errorf("upload: %+v, %v", result, err)
			}
			content, result, err := get(t.Context(), conn, "/f")
			if err != nil || content != "" || !result.Confirmed || !result.TLSResumed || !result.CleanEnd {
				t.Errorf("download: %q, %+v, %v", content, result, err)
			}
			if got := server.Received(); got != "" {
				t.Errorf("the server got %q", got)
			}
		})
	}
}

func TestSecureDataThatFail(t *testing.T) {
	// With TLS 1.2 the server knows that the handshake is done before the client can complain.
	control, stranger := &ftptest.TLS{Config: certified(t, tls.VersionTLS12)}, &ftptest.TLS{Config: certified(t, tls.VersionTLS12)}
	plain := &ftptest.Data{Send: "hello there", End: ftptest.Close}
	tests := []struct {
		name   string
		script steps
		lost   bool
		want   outcome
	}{
		{name: "another server answers on the data connection",
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: stranger, Receive: ftptest.All, End: ftptest.Close}}, {Send: "426 cut"}},
			want:   outcome{is: ftpclient.ErrInsecure, code: 426, class: ftpclient.ClassSetup}},
		{name: "data come in clear text",
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: plain}, {Send: "226 done"}},
			want:   outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}},
		{name: "the session is not resumed to the liking of the server", lost: true,
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{End: ftptest.Close}}, {Send: "425 Unable to build data connection: Operation not permitted"}},
			want:   outcome{code: 425, class: ftpclient.ClassSetup}},
		{name: "session reuse is required", lost: true,
			script: steps{{Expect: "RETR /f", Send: "150 go\n522 SSL connection failed: session reuse required"}},
			want:   outcome{code: 522, class: ftpclient.ClassSetup}},
		{name: "the file is refused while the handshake goes on",
			script: steps{{Expect: "RETR /f", Send: "550 no"}},
			want:   outcome{code: 550, class: ftpclient.ClassPermanent}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := secureSession(control, steps{passive}.then(test.script...))
			if test.lost {
				script = secureOpen(control, steps{passive}.then(test.script...))
			}
			conn, _ := connect(t, script, secure)
			_, _, err := get(t.Context(), conn, "/f")
			test.want.check(t, err)
			if conn.Usable() == test.lost {
				t.Errorf("usable afterwards: %v", !test.lost)
			}
		})
	}
}

// TestARefusalInTheMiddleOfAHandshakeKeepsTheSession is about crypto/tls, which forgets the
// session that a failed handshake began with.
func TestARefusalInTheMiddleOfAHandshakeKeepsTheSession(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			config := certified(t, v.version)
			conn, _ := connect(t, secureSession(&ftptest.TLS{Config: config}, steps{
				passive, {Expect: "RETR /f", Send: "550 no"},
				passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{
					TLS: &ftptest.TLS{Config: config, MustResume: true}, Send: "hello", End: ftptest.Close,
				}},
				{Send: "226 done"},
			}), secure)
			_, _, err := get(t.Context(), conn, "/f")
			outcome{code: 550, class: ftpclient.ClassPermanent}.check(t, err)
			if _, _, err := get(t.Context(), conn, "/f"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAListingThatIsCutIsIncomplete(t *testing.T) {
	config := certified(t, tls.VersionTLS13)
	list := func(cut bool) steps {
		data := &ftptest.Data{TLS: &ftptest.TLS{Config: config, NoCloseNotify: cut}, Send: unixLine("a") + unixLine("b"), End: ftptest.Close}
		return steps{{Expect: "CWD /", Send: "250 ok"}, passive, {Expect: "LIST -a", Send: "150 go", Data: data}, {Send: "226 done"}}
	}
	conn, _ := connect(t, secureSession(&ftptest.TLS{Config: config}, list(true).then(list(false)...).then(list(true)...)),
		secure, func(o *ftpclient.Options) { o.Facts.ListAll = "yes" })
	for i, complete := range []bool{
		true, // there are servers that always end like this
		true,
		false, // but this is none of them
	} {
		l, err := conn.List(t.Context(), "/")
		if err != nil {
			t.Fatal(err)
		}
		if (l.Incomplete == "") != complete || len(l.Entries) != 2 {
			t.Errorf("listing %d: incomplete: %q, %d entries", i+1, l.Incomplete, len(l.Entries))
		}
	}
	if !conn.Facts().CloseNotify {
		t.Error("nothing was learned")
	}
}

func TestClearTextInAProtectedConnectionIsReported(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			config := certified(t, v.version)
			address := listen(t, func(conn net.Conn) {
				secured := tls.Server(conn, config)
				io.WriteString(secured, "230 in\r\n")
				replies := map[string]string{"FEAT": "500 no", "SYST": "500 no", "PBSZ": "200 ok", "PROT": "200 ok", "PWD": `257 "/"`, "TYPE": "200 ok"}
				for lines := bufio.NewScanner(secured); lines.Scan(); {
					verb, _, _ := strings.Cut(lines.Text(), " ")
					if reply, ok := replies[verb]; ok {
						io.WriteString(secured, reply+"\r\n")
					} else {
						io.WriteString(conn, "500 OOPS: vsftpd: died\r\n")
					}
				}
			})
			o := testOptions()
			secure(&o)
			o.TLS = ftpclient.TLSImplicit
			err := dial(t, t.Context(), address, o).Noop(t.Context())
			outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassConnection}.check(t, err)
			if !strings.Contains(err.Error(), "500 O") {
				t.Errorf("%v does not show the bytes", err)
			}
		})
	}
}
