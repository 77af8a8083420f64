package ftpclient_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

func compress(o *ftpclient.Options) { o.Compress = true }

func TestCompressionOnProFTPD(t *testing.T) {
	t.Parallel()
	for _, s := range []security{securities[0], securities[2]} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, "proftpd", ftptest.RealOptions{RequireTLS: s.version != 0, Modules: []string{"deflate"}})
			codes := &replyCodes{}
			o := optionsFor(server, s)
			o.Compress, o.Logger = true, slog.New(codes)
			conn := dial(t, t.Context(), server.Addr, o)
			p := &place{conn: conn, server: server, security: s, folder: conn.Absolute(""), disk: server.Root}
			codes.take()
			text := bytes.Repeat([]byte("all work and no play makes jack a dull boy\n"), 50_000)
			p.put(t, "text", text)
			got, result := p.retrieve(t, "text", 0)
			if !bytes.Equal(got, text) || result.Moved > int64(len(text))/10 || !result.CleanEnd {
				t.Errorf("%d bytes, %+v", len(got), result)
			}
			if names, err := conn.List(t.Context(), p.folder); err != nil || len(names.Entries) != 1 {
				t.Errorf("%+v, %v", names, err)
			}
			if got := strings.Count(codes.take(), "MODE"); got != 1 {
				t.Errorf("MODE was sent %d times", got)
			}
			if got, _ := p.retrieve(t, "text", 1_000_000); !bytes.Equal(got, text[1_000_000:]) {
				t.Errorf("from an offset: %d bytes", len(got))
			}
			p.put(t, "text.GZ", text)
			if got, result := p.retrieve(t, "text.GZ", 0); !bytes.Equal(got, text) || result.Moved < int64(len(text)) {
				t.Errorf("a name that says it is compressed: %d bytes, %+v", len(got), result)
			}
			if got := codes.take(); strings.Count(got, "MODE S") != 1 || strings.Contains(got, "MODE Z") {
				t.Errorf("talk of offsets and compressed names: %s", got)
			}
			p.store(t, "small", text[:12_000])
			if got := p.onDisk(t, "small"); !bytes.Equal(got, text[:12_000]) {
				t.Errorf("a small upload: %d bytes on disk", len(got))
			}
			p.store(t, "empty", nil)
			if got, _ := p.retrieve(t, "empty", 0); len(got) != 0 || len(p.onDisk(t, "empty")) != 0 {
				t.Errorf("an empty file has %d bytes, %d on disk", len(got), len(p.onDisk(t, "empty")))
			}
			noise := content(50, 3_000_000)
			p.put(t, "noise", noise)
			if got, _ := p.retrieve(t, "noise", 0); !bytes.Equal(got, noise) {
				t.Errorf("noise: %d bytes", len(got))
			}
			if entry, err := conn.Stat(t.Context(), p.remote("noise")); err != nil || entry.Type != list.File || entry.Size != 3_000_000 {
				t.Errorf("%+v, %v", entry, err)
			}
		})
	}
}

// TestCompressedUploadsThatFailAreNotTriedAgain meets a server whose own decompression fails.
func TestCompressedUploadsThatFailAreNotTriedAgain(t *testing.T) {
	p := realPlace(t, "proftpd", ftptest.RealOptions{Modules: []string{"deflate"}}, compress)
	p.conn.SetServer("") // so that it has to be found out
	text := bytes.Repeat([]byte("all work and no play makes jack a dull boy\n"), 50_000)
	_, err := put(t.Context(), p.conn, p.remote("text"), bytes.NewReader(text))
	outcome{code: 451, class: ftpclient.ClassRetry}.check(t, err)
	if !p.conn.Facts().NoCompressedStore {
		t.Error("nothing was learned")
	}
	p.store(t, "text", text)
	if got := p.onDisk(t, "text"); !bytes.Equal(got, text) {
		t.Errorf("%d bytes on disk", len(got))
	}
	if names, err := p.conn.List(t.Context(), p.folder); err != nil || len(names.Entries) != 1 {
		t.Errorf("%+v, %v", names, err)
	}
}

func TestACompressedUpload(t *testing.T) {
	for _, text := range []string{"", "hello", strings.Repeat("0123456789", 100_000)} {
		conn, server := connect(t, session("MODE Z", talk("MODE Z", "200 ok").then(passive,
			ftptest.Step{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}, ftptest.Step{Send: "226 done"})), compress)
		result, err := put(t.Context(), conn, "/f", strings.NewReader(text))
		if err != nil || result.Bytes != int64(len(text)) || result.Moved != int64(len(server.Received())) {
			t.Errorf("%+v, %v", result, err)
		}
		inflated, err := zlib.NewReader(strings.NewReader(server.Received()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(inflated); string(got) != text || err != nil {
			t.Errorf("%d bytes, %v; want %d", len(got), err, len(text))
		}
	}
}

func deflated(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressedDownloads(t *testing.T) {
	hello := deflated(t, "hello")
	down := func(stream string) steps { return download("RETR /f", stream, "226 done") }
	mode := talk("MODE Z", "200 ok")
	again := steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}
	tests := []struct {
		name, features string
		script         steps
		want           outcome
		refused        bool
	}{
		{name: "a compressed stream", features: "MODE Z", script: mode.then(down(hello)...)},
		{name: "offered beside other modes", features: "MODE B;z", script: mode.then(down(hello)...)},
		{name: "not offered", features: "SIZE", script: down("hello")},
		{name: "another mode is offered", features: "MODE B", script: down("hello")},
		{name: "offered and refused", features: "MODE Z", script: talk("MODE Z", "504 no").then(again...), refused: true},
		{name: "a stream that is cut", features: "MODE Z", script: mode.then(down(hello[:len(hello)-4])...),
			want: outcome{is: io.ErrUnexpectedEOF, class: ftpclient.ClassConnection}},
		{name: "a stream that is cut in its head", features: "MODE Z", script: mode.then(down(hello[:1])...),
			want: outcome{is: io.ErrUnexpectedEOF, class: ftpclient.ClassConnection}},
		{name: "a stream with a wrong checksum", features: "MODE Z", script: mode.then(down(hello[:len(hello)-1] + "x")...),
			want: outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassConnection}},
		{name: "a stream that is not compressed", features: "MODE Z", script: mode.then(down("hello")...),
			want: outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassConnection}},
		{name: "a stream with something behind it", features: "MODE Z", script: mode.then(down(hello + "x")...),
			want: outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassConnection}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session(test.features, test.script), compress)
			content, result, err := get(t.Context(), conn, "/f")
			test.want.check(t, err)
			if err == nil && (content != "hello" || result.Bytes != 5) {
				t.Errorf("%q, %+v", content, result)
			}
			if conn.Facts().NoCompression != test.refused {
				t.Errorf("refused: %v", !test.refused)
			}
		})
	}
}

// TestACompressedFloodIsReadInPieces has a stream of a thousandth of the size of its content.
func TestACompressedFloodIsReadInPieces(t *testing.T) {
	const size = 4 << 20
	flood := deflated(t, strings.Repeat("\x00", size))
	conn, _ := connect(t, session("MODE Z", talk("MODE Z", "200 ok").then(passive,
		ftptest.Step{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: flood, End: ftptest.Close}}, ftptest.Step{Send: "226 done"})), compress)
	transfer, err := conn.Retrieve(t.Context(), "/f", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(transfer, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	allocated := testing.AllocsPerRun(100, func() { io.ReadFull(transfer, make([]byte, 1000)) })
	if n, err := io.Copy(io.Discard, transfer); err != nil || n+102*1000 != size {
		t.Errorf("%d bytes, %v", n, err)
	}
	if allocated > 2 {
		t.Errorf("%.0f allocations for each kilobyte", allocated)
	}
	if _, err := transfer.Finish(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAModeThatTheServerDoesNotLeaveCostsTheConnection(t *testing.T) {
	conn, _ := connect(t, open("MODE Z", talk("MODE Z", "200 ok").then(download("RETR /f", deflated(t, "hello"), "226 done")...).
		then(talk("MODE S", "500 no")...)), compress)
	if content, _, err := get(t.Context(), conn, "/f"); content != "hello" || err != nil {
		t.Errorf("%q, %v", content, err)
	}
	_, err := conn.Retrieve(t.Context(), "/f.zip", 0)
	outcome{code: 500, class: ftpclient.ClassPermanent}.check(t, err)
	if conn.Usable() {
		t.Error("the connection is in use in a mode that nobody knows")
	}
}
