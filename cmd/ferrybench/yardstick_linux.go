package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// yardstick copies the bytes of a tree over one bare connection: what the line and the kernel can do, without FTP.
type yardstick struct {
	line        *line
	secured     bool
	certificate tls.Certificate
	pool        *x509.CertPool
}

func newYardstick(s *scope, l *line, secured bool) *yardstick {
	y := &yardstick{line: l, secured: secured}
	if secured {
		y.certificate, _, _, _, y.pool = ftptest.NewCertificate(s)
	}
	return y
}

// copy sends the files, one after the other, into a file of the folder target, and returns how long that took: from before
// the connection until the sender knows that all has arrived, or the receiver has all.
func (y *yardstick) copy(ctx context.Context, source, target string, t tree, down bool) (time.Duration, error) {
	var listener net.Listener
	err := y.line.server.Do(func() (err error) {
		listener, err = net.Listen("tcp", serverAddress+":0")
		return err
	})
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	atClient := func(conn net.Conn) error { return y.send(conn, source, t) }
	atServer := func(conn net.Conn) error { return receive(conn, target, t.bytes()) }
	if down {
		atClient, atServer = atServer, atClient
	}
	served := make(chan error, 1)
	began := time.Now()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = y.converse(ctx, conn, true, atServer)
		}
		served <- err
	}()
	var conn net.Conn
	err = y.line.client.Do(func() (err error) {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, "tcp", listener.Addr().String())
		return err
	})
	if err == nil {
		err = y.converse(ctx, conn, false, atClient)
	}
	took := time.Since(began)
	listener.Close()
	return took, errors.Join(err, <-served)
}

// converse does one side's part on a connection, which it closes, at the latest with ctx.
func (y *yardstick) converse(ctx context.Context, conn net.Conn, serves bool, part func(net.Conn) error) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if y.secured && serves {
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{y.certificate}, MinVersion: tls.VersionTLS13})
	} else if y.secured {
		conn = tls.Client(conn, &tls.Config{RootCAs: y.pool, ServerName: "localhost", MinVersion: tls.VersionTLS13})
	}
	return part(conn)
}

// send ends with the receiver's word that it has everything.
func (y *yardstick) send(conn net.Conn, source string, t tree) error {
	for _, file := range t.files {
		if err := sendFile(conn, filepath.Join(source, filepath.FromSlash(file.Path))); err != nil {
			return err
		}
	}
	var word [1]byte
	_, err := io.ReadFull(conn, word[:])
	return err
}

func sendFile(conn net.Conn, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(conn, file) // by sendfile, without TLS
	return err
}

// receive writes that many bytes into a file.
func receive(conn net.Conn, target string, size int64) (err error) {
	file, err := os.Create(filepath.Join(target, "copy"))
	if err != nil {
		return err
	}
	n, err := io.Copy(file, io.LimitReader(conn, size)) // by splice, without TLS
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes of %d arrived", n, size)
	}
	if err == nil {
		_, err = conn.Write([]byte{1})
	}
	return err
}
