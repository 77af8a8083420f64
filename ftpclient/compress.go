package ftpclient

import (
	"bufio"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// compressed are the extensions of files that do not get smaller.
var compressed = []string{
	".7z", ".aac", ".apk", ".avi", ".avif", ".br", ".bz2", ".cab", ".deb", ".docx", ".epub", ".flac", ".gif", ".gz",
	".heic", ".jar", ".jpeg", ".jpg", ".lz", ".lz4", ".lzma", ".m4a", ".m4v", ".mkv", ".mov", ".mp3", ".mp4", ".mpeg",
	".mpg", ".odp", ".ods", ".odt", ".ogg", ".opus", ".png", ".pptx", ".rar", ".rpm", ".tbz", ".tgz", ".txz", ".webm",
	".webp", ".whl", ".woff", ".woff2", ".xlsx", ".xz", ".z", ".zip", ".zst",
}

// brokenDeflate is the server that does not get through compressed uploads of more than some
// ten kilobytes: mod_deflate of ProFTPD 1.3.8 never ends, or says "451 Input/output error".
// It does so whoever compresses: streams of 2 MB made by zlib itself, at levels 0 and 6,
// flushed or not, end the same way, and 60 kB go through.
const brokenDeflate = "proftpd"

// setMode switches to compression and back (draft-preston-ftpext-deflate): servers keep MODE
// from transfer to transfer. Compressed streams have no offsets.
func (c *Conn) setMode(ctx context.Context, r request) error {
	wanted := c.options.Compress && !c.facts.NoCompression && r.offset == 0 && c.features.Has("MODE") &&
		slices.ContainsFunc(c.features["MODE"], func(modes string) bool { return strings.Contains(strings.ToUpper(modes), "Z") }) &&
		!(r.upload && (c.facts.NoCompressedStore || c.facts.Server == brokenDeflate)) &&
		!(r.named && slices.Contains(compressed, strings.ToLower(path.Ext(r.path))))
	if wanted == c.deflating {
		return nil
	}
	mode := "S"
	if wanted {
		mode = "Z"
	}
	reply, err := c.do(ctx, r.op, r.path, "MODE", mode)
	switch {
	case err != nil:
		return err
	case reply.Completed():
		c.deflating = wanted
	case wanted:
		c.facts.NoCompression = true
	default:
		// Nobody knows how the next bytes would have to be read.
		c.kill()
		return c.refusal(r.op, r.path, "MODE", reply)
	}
	return nil
}

// blameCompression has later uploads go uncompressed when a compressed one failed and the
// server is the one to ask why.
func (t *Transfer) blameCompression() {
	if t.zlib != nil && t.request.upload {
		t.conn.facts.NoCompressedStore = true
	}
}

// zlibStream is a zlib stream (RFC 1950) in one direction. What it inflates goes to its reader
// piece by piece, so a stream that grows without end fills no memory.
type zlibStream struct {
	raw      *bufio.Reader
	inflater io.ReadCloser
	deflater *zlib.Writer
}

func newZlibStream(stream io.ReadWriter, upload bool) *zlibStream {
	if upload {
		return &zlibStream{deflater: zlib.NewWriter(stream)}
	}
	return &zlibStream{raw: bufio.NewReaderSize(stream, 64<<10)}
}

// Read inflates. A stream that ends before its checksum is io.ErrUnexpectedEOF, but for one
// without any byte: that is how servers send an empty file.
func (c *zlibStream) Read(p []byte) (int, error) {
	if c.inflater == nil {
		if _, err := c.raw.Peek(1); err != nil {
			return 0, err
		}
		var err error
		if c.inflater, err = zlib.NewReader(c.raw); err != nil {
			return 0, explainZlib(err)
		}
	}
	n, err := c.inflater.Read(p)
	if errors.Is(err, io.EOF) {
		err = c.end()
	}
	return n, explainZlib(err)
}

// end reads on to the end of the connection, behind which TLS keeps its own.
func (c *zlibStream) end() error {
	_, err := c.raw.ReadByte()
	if err == nil {
		return fmt.Errorf("%w: bytes behind the end of the compressed stream", ErrProtocol)
	}
	return err
}

func explainZlib(err error) error {
	if errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) || errors.Is(err, zlib.ErrDictionary) {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return err
}

// Write deflates.
func (c *zlibStream) Write(p []byte) (int, error) { return c.deflater.Write(p) }

// Close ends a deflated stream.
func (c *zlibStream) Close() error {
	if c.deflater == nil {
		return nil
	}
	return c.deflater.Close()
}
