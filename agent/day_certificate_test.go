package agent

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

const certificateConfiguration = `
[agent]
state_dir = %q
heartbeat = { url = "%s/beat", every = "10m" }
[server.acme]
address = %q
user = "u"
password = "right"
proxy = %q
tls = "explicit"
tls_ca = %q
tls_server_name = "localhost"
tls_pin = [%s]
data = { mode = "passive" }
[sync.site]
server = "acme"
local = %q
remote = "/site"
direction = "up"
settle = "0s"
schedule = ["5 * * * *"]
recheck = "0s"
time_zone = "UTC"
[alert.ops]
webhook = { url = "%s/hook" }
remind = ""
`

// pinOf is the pin of the key of a certificate.
func pinOf(t *testing.T, c tls.Certificate) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// TestTheLifeOfACertificate in all channels: it is about to expire, expires, is renewed, and its key is another one than is pinned.
func TestTheLifeOfACertificate(t *testing.T) {
	t.Parallel()
	authority := ftptest.NewAuthority(t)
	first := authority.Certificate(t, time.Date(2000, 1, 2, 6, 0, 0, 0, time.UTC))
	second := authority.Certificate(t, time.Date(2001, 1, 16, 0, 0, 0, 0, time.UTC))
	third := authority.Certificate(t, time.Date(2002, 1, 16, 0, 0, 0, 0, time.UTC))
	var shown atomic.Pointer[tls.Certificate]
	shown.Store(&first)
	pin := ""
	d := newDay(t)
	d.text = func() string {
		return fmt.Sprintf(certificateConfiguration, filepath.Join(d.folder, "state"), d.hook.URL, d.server.Addr, ftptest.Proxy, authority.File, pin, filepath.Join(d.folder, "site"), d.hook.URL)
	}
	synctest.Test(t, func(t *testing.T) {
		d.t = t
		d.serve()
		d.server.TLS = func() tls.Certificate { return *shown.Load() }
		d.put("site/a", "1")
		d.start()
		at := func(day, hour int) { time.Sleep(time.Until(time.Date(2000, 1, day, hour, 20, 0, 0, time.UTC))) }

		at(1, 0)
		d.check("a day and a half", words{
			status: []string{
				"problem certificate  acme: the certificate of 192.0.2.1:50000 expires on 2000-01-02 06:00:00 UTC; then the server is not trusted any more", "server acme: idle", "sync site: in step", "exit code 0",
			},
			metrics: []string{`ftpferry_server_problems{kind="certificate",server="acme"} 1`, `ftpferry_server_certificate_expiry_timestamp_seconds{server="acme"} 9.467928e+08`},
			log:     []string{`"level":"ERROR","msg":"alert","server":"acme","reason":"the certificate of 192.0.2.1:50000 expires on 2000-01-02 06:00:00 UTC; then`},
			alerts:  []string{"problem certificate/acme: server acme: the certificate of 192.0.2.1:50000 expires on 2000-01-02 06:00:00 UTC; then"},
			events:  []string{"alert...the certificate of 192.0.2.1:50000 expires on"},
			history: []string{"done upload site a"},
		})
		at(1, 7)
		d.check("one day", words{
			status: []string{"exit code 0"}, alerts: []string{"worse certificate/acme: worse: server acme: the certificate of 192.0.2.1:50000 expires on"},
		})
		d.beat()

		at(2, 6)
		got := d.check("expired", words{
			status: []string{
				"problem blocked  acme: needs a person: ...certificate has expired...it is tried again by itself; \"ftpferry doctor acme\"", "problem certificate  acme: the certificate of 192.0.2.1:50000 has expired on 2000-01-02 06:00:00 UTC",
				"sync site: pause:...certificate has expired", "server acme: paused:...certificate has expired", "exit code 1",
			},
			metrics: []string{`ftpferry_server_problems{kind="blocked",server="acme"} 1`, `ftpferry_server_state{server="acme",state="paused"} 1`, `ftpferry_errors_total{class="setup",server="acme"}`},
			log:     []string{`"level":"WARN","msg":"paused","server":"acme"...certificate has expired`, `"level":"ERROR","msg":"alert","server":"acme"...certificate has expired`, `no heartbeat while something is wrong...server acme needs a person`},
			alerts: []string{
				"worse certificate/acme: worse: server acme: the certificate of 192.0.2.1:50000 has expired on 2000-01-02 06:00:00 UTC; the server is not trusted any more",
				"problem blocked/acme: server acme: needs a person: ...certificate has expired",
			},
			history: []string{"paused connect...certificate has expired"},
			events:  []string{"paused...certificate has expired", "alert...certificate has expired"},
		})
		shown.Store(&second)
		at(2, 7)
		d.calm("renewed", d.check("renewed", words{
			metrics: []string{`ftpferry_server_certificate_expiry_timestamp_seconds{server="acme"} 9.796032e+08`},
			log:     []string{`"msg":"cleared","server":"acme","reason":"the server can be used again, after`, `"msg":"cleared","server":"acme","reason":"over: the certificate`},
			alerts:  []string{"recovered blocked/acme: over, after", "recovered certificate/acme: over, after...has expired on 2000-01-02"},
			history: []string{"working again connect"},
		}), got.metrics[:0])

		pin = strconv.Quote(pinOf(t, second))
		if _, err := d.agent.Reconfigure(t.Context(), d.load()); err != nil {
			t.Error(err)
		}
		at(2, 8)
		d.calm("pinned", d.check("pinned", words{metrics: []string{`ftpferry_server_state{server="acme",state="idle"} 1`}}), nil)
		shown.Store(&third)
		at(2, 9)
		d.check("another key", words{
			status:  []string{"server acme: paused:...is not pinned", "problem blocked  acme: needs a person: ...is not pinned", "exit code 1"},
			log:     []string{`"level":"ERROR","msg":"alert","server":"acme"...is not pinned`},
			alerts:  []string{"problem blocked/acme: server acme: needs a person: ...is not pinned"},
			history: []string{"paused connect...is not pinned"},
		})
		pin = strconv.Quote(pinOf(t, third))
		if _, err := d.agent.Reconfigure(t.Context(), d.load()); err != nil {
			t.Error(err)
		}
		at(2, 10)
		d.calm("the new key is pinned", d.check("the new key is pinned", words{
			log: []string{"the server can be used again"}, alerts: []string{"recovered blocked/acme: over"}, history: []string{"working again connect"},
		}), nil)
		if err := d.end(); err != nil {
			t.Error(err)
		}
	})
}
