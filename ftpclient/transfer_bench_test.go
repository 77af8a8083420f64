package ftpclient_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

var benchBytes = flag.Int64("transfer-bytes", 1<<30, "size of the file of BenchmarkTransfer; a sixteenth with -short")

// BenchmarkTransfer moves one large file up and down on loopback. Each round also moves it over
// a bare connection, TCP or TLS, to a peer of the same kind as the server in this process, by
// io.Copy from or to an *os.File. "ratio" is the time of the bare copy divided by ours, both the
// median of all rounds, of which there should be ten or more: 1 means that FTP costs nothing.
// Real servers cost time of their own.
func BenchmarkTransfer(b *testing.B) {
	size := *benchBytes
	if testing.Short() {
		size /= 16
	}
	folder := b.TempDir()
	if err := os.Chmod(folder, 0o777); err != nil {
		b.Fatal(err)
	}
	source := filepath.Join(folder, "source")
	if err := os.WriteFile(source, nil, 0o644); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(source, size); err != nil {
		b.Fatal(err)
	}
	for _, server := range []string{"in process", "vsftpd", "pure-ftpd", "proftpd"} {
		for _, s := range []security{securities[0], securities[2]} {
			for _, upload := range []bool{true, false} {
				way := "download"
				if upload {
					way = "upload"
				}
				b.Run(server+"/"+strings.ReplaceAll(s.name, " ", "-")+"/"+way, func(b *testing.B) {
					benchmarkTransfer(b, server, s, upload, source, size)
				})
			}
		}
	}
}

func benchmarkTransfer(b *testing.B, server string, s security, upload bool, source string, size int64) {
	var config *tls.Config
	o := ftpclient.Options{User: "ferry", Password: "secret", TLS: ftpclient.TLSNone}
	certificate, _, _, _, pool := ftptest.NewCertificate(b)
	bare := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: s.version, MaxVersion: s.version}
	if s.version != 0 {
		config = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: s.version, MaxVersion: s.version}
		o.TLS, o.TLSConfig = ftpclient.TLSExplicit, bare
	}
	peer := newBenchPeer(b, config, source)
	address, remote := peer.control.Addr().String(), "/source"
	if server != "in process" {
		real := ftptest.Real(b, server, ftptest.RealOptions{RequireTLS: s.version != 0, Root: filepath.Dir(source)})
		if s.version != 0 {
			o.TLSConfig = &tls.Config{RootCAs: real.CertPool, MinVersion: s.version, MaxVersion: s.version}
		}
		address = real.Addr
	}
	conn, err := ftpclient.Dial(b.Context(), address, o)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	var ours, bares []time.Duration
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		began := time.Now()
		if err := bareCopy(b.Context(), peer, upload, bare, s.version != 0, source); err != nil {
			b.Fatal(err)
		}
		bares = append(bares, time.Since(began))
		b.StartTimer()
		began = time.Now()
		if err := ftpCopy(b.Context(), conn, upload, source, remote, size); err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(began))
	}
	median := func(times []time.Duration) float64 {
		slices.Sort(times)
		return times[len(times)/2].Seconds()
	}
	b.ReportMetric(median(bares)/median(ours), "ratio")
	b.ReportMetric(float64(size)/median(bares)/1e6, "bare-MB/s")
}

func ftpCopy(ctx context.Context, conn *ftpclient.Conn, upload bool, source, remote string, size int64) error {
	var transfer *ftpclient.Transfer
	var err error
	if upload {
		file, err := os.Open(source)
		if err != nil {
			return err
		}
		defer file.Close()
		if transfer, err = conn.Store(ctx, conn.Absolute("sink"), 0); err != nil {
			return err
		}
		transfer.ReadFrom(file)
	} else {
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer null.Close()
		if transfer, err = conn.Retrieve(ctx, conn.Absolute(strings.TrimPrefix(remote, "/")), 0); err != nil {
			return err
		}
		io.Copy(null, transfer)
	}
	result, err := transfer.Finish(ctx)
	if err == nil && result.Bytes != size {
		err = fmt.Errorf("%d bytes of %d", result.Bytes, size)
	}
	return err
}

// bareCopy moves the file over a connection of its own and waits for its end.
func bareCopy(ctx context.Context, peer *benchPeer, upload bool, config *tls.Config, secured bool, source string) error {
	verb := "source\n"
	if upload {
		verb = "sink\n"
	}
	var dialer net.Dialer
	tcp, err := dialer.DialContext(ctx, "tcp", peer.bare.Addr().String())
	if err != nil {
		return err
	}
	defer tcp.Close()
	io.WriteString(tcp, verb)
	conn := tcp
	if secured {
		conn = tls.Client(tcp, config)
	}
	if upload {
		file, err := os.Open(source)
		if err != nil {
			return err
		}
		defer file.Close()
		if _, err := io.Copy(conn, file); err != nil {
			return err
		}
		if secured {
			if err := conn.(*tls.Conn).CloseWrite(); err != nil {
				return err
			}
		}
		if err := tcp.(*net.TCPConn).CloseWrite(); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, tcp)
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	_, err = io.Copy(null, conn)
	return err
}

// benchPeer is the least FTP server that a client can move one file from and to, and a bare
// peer that does the same without FTP.
type benchPeer struct {
	control, bare net.Listener
	config        *tls.Config
	source        string
	working       sync.WaitGroup
}

func newBenchPeer(b *testing.B, config *tls.Config, source string) *benchPeer {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	p := &benchPeer{control: listen(), bare: listen(), config: config, source: source}
	b.Cleanup(func() {
		p.control.Close()
		p.bare.Close()
		p.working.Wait()
	})
	p.working.Go(func() {
		for {
			conn, err := p.bare.Accept()
			if err != nil {
				return
			}
			p.working.Go(func() {
				verb := make([]byte, len("sink\n"))
				io.ReadFull(conn, verb)
				upload := string(verb) == "sink\n"
				if !upload {
					io.ReadFull(conn, verb[:len("source\n")-len("sink\n")])
				}
				p.move(conn, upload)
			})
		}
	})
	p.working.Go(func() {
		for {
			conn, err := p.control.Accept()
			if err != nil {
				return
			}
			p.working.Go(func() {
				defer conn.Close()
				p.serve(conn)
			})
		}
	})
	return p
}

// move takes everything, or sends the file, and ends the connection.
func (p *benchPeer) move(tcp net.Conn, upload bool) {
	defer tcp.Close()
	conn := tcp
	if p.config != nil {
		secured := tls.Server(tcp, p.config)
		defer secured.Close()
		conn = secured
	}
	if upload {
		io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, make([]byte, 256<<10))
		return
	}
	file, err := os.Open(p.source)
	if err != nil {
		return
	}
	defer file.Close()
	io.Copy(conn, file)
}

func (p *benchPeer) serve(conn net.Conn) {
	say := func(line string) { io.WriteString(conn, line+"\r\n") }
	say("220 ready")
	lines := bufio.NewReader(conn)
	var data net.Listener
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "AUTH":
			say("234 go on")
			conn = tls.Server(conn, p.config)
			lines = bufio.NewReader(conn)
		case "USER":
			say("230 in")
		case "PWD":
			say(`257 "/"`)
		case "EPSV":
			if data, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				return
			}
			say(fmt.Sprintf("229 here (|||%d|)", data.Addr().(*net.TCPAddr).Port))
		case "STOR", "RETR":
			say("150 go")
			file, err := data.Accept()
			data.Close()
			if err != nil {
				return
			}
			p.move(file, verb == "STOR")
			say("226 done")
		case "QUIT":
			say("221 bye")
			return
		case "PBSZ", "PROT", "TYPE":
			say("200 ok")
		default:
			say("500 what?")
		}
	}
}
