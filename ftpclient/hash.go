package ftpclient

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// Algorithm is a hash function, by the name that HASH knows it by.
type Algorithm string

// The algorithms, best first. MD5 and CRC32 tell a torn file from a whole one and nothing more.
const (
	SHA512 Algorithm = "SHA-512"
	SHA256 Algorithm = "SHA-256"
	SHA1   Algorithm = "SHA-1"
	MD5    Algorithm = "MD5"
	CRC32  Algorithm = "CRC32"
)

// hashings are the algorithms, best first, with the commands that other servers have for each.
var hashings = []struct {
	algorithm Algorithm
	make      func() hash.Hash
	verbs     []string
}{
	{SHA512, sha512.New, []string{"XSHA512"}},
	{SHA256, sha256.New, []string{"XSHA256"}},
	{SHA1, sha1.New, []string{"XSHA1", "XSHA"}},
	{MD5, md5.New, []string{"XMD5", "MD5"}},
	{CRC32, func() hash.Hash { return crc32.NewIEEE() }, []string{"XCRC"}},
}

// New returns the hash function itself, nil for a name that is none of the constants.
func (a Algorithm) New() hash.Hash {
	for _, h := range hashings {
		if h.algorithm == a {
			return h.make()
		}
	}
	return nil
}

// Hashes returns what Hash can ask this server for, best first.
func (c *Conn) Hashes() []Algorithm {
	var all []Algorithm
	for _, h := range hashings {
		if c.offersHASH(h.algorithm) || c.hashVerb(h.algorithm) != "" {
			all = append(all, h.algorithm)
		}
	}
	return all
}

// offersHASH looks into FEAT: "HASH SHA-256;SHA-1*;MD5", with a star at the one in use.
func (c *Conn) offersHASH(a Algorithm) bool {
	for _, names := range c.features["HASH"] {
		for name := range strings.SplitSeq(names, ";") {
			if strings.EqualFold(strings.Trim(name, "* "), string(a)) {
				return true
			}
		}
	}
	return false
}

func (c *Conn) hashVerb(a Algorithm) string {
	for _, h := range hashings {
		for _, verb := range h.verbs {
			if h.algorithm == a && c.features.Has(verb) {
				return verb
			}
		}
	}
	return ""
}

// Hash asks the server for the hash of the file p: by HASH (draft-bryan-ftpext-hash), XSHA512
// and its kind, or MD5 (draft-twine-ftpmd5). The server reads the whole file for it, so the
// patience grows with the size: ten seconds, and one for every 50 MB. Without a command for
// it, or where the server refuses to read that much, the error is the server's or wraps
// ErrUnsupported.
func (c *Conn) Hash(ctx context.Context, p string, a Algorithm) ([]byte, error) {
	size, err := c.Size(ctx, p)
	if err != nil {
		return nil, err
	}
	return c.hash(ctx, p, a, size, false)
}

// hash is Hash for the first length bytes of the file if part is set, else for all of it.
func (c *Conn) hash(ctx context.Context, p string, a Algorithm, length int64, part bool) ([]byte, error) {
	function := a.New()
	verb := c.hashVerb(a)
	switch {
	case function == nil || !c.offersHASH(a) && verb == "":
		return nil, &Error{Op: "hash", Path: p, Err: fmt.Errorf("%w: no %s", ErrUnsupported, a)}
	case c.offersHASH(a) && (!part || c.features.Has("RANG")):
		return c.hashByHASH(ctx, p, a, length, part)
	case verb == "" || part && (verb == "MD5" || strings.Contains(p, `"`)):
		return nil, &Error{Op: "hash", Path: p, Err: fmt.Errorf("%w: no %s of a part", ErrUnsupported, a)}
	}
	patience := hashPatience(length)
	reply, err := c.hashByVerb(ctx, p, verb, length, part, patience)
	if err != nil {
		return nil, err
	}
	return c.hashOf(p, verb, reply, parseDigest(reply, p, function.Size()))
}

func (c *Conn) hashByVerb(ctx context.Context, p, verb string, length int64, part bool, patience time.Duration) (control.Reply, error) {
	raw, err := c.wire(c.Absolute(p))
	if err != nil {
		return control.Reply{}, &Error{Op: "hash", Path: p, Err: err}
	}
	quoted := `"` + raw + `"`
	if part {
		quoted += fmt.Sprintf(" 0 %d", length)
	} else {
		command, err := c.pathCommand(ctx, "hash", p, verb, "")
		if err != nil {
			return control.Reply{}, err
		}
		reply, err := c.doPatiently(ctx, "hash", p, command, patience)
		if err != nil || reply.Completed() || reply.Code != 501 || strings.Contains(p, `"`) {
			return reply, err
		}
		// Serv-U and its kin want quotes.
	}
	command, err := control.NewCommand(verb, quoted)
	if err != nil {
		return control.Reply{}, &Error{Op: "hash", Path: p, Err: err}
	}
	return c.doPatiently(ctx, "hash", p, command, patience)
}

func (c *Conn) hashByHASH(ctx context.Context, p string, a Algorithm, length int64, part bool) ([]byte, error) {
	if c.hashing != a {
		reply, err := c.do(ctx, "hash", p, "OPTS", "HASH "+string(a))
		if err != nil {
			return nil, err
		}
		if !reply.Completed() {
			return nil, c.refusal("hash", p, "OPTS", reply)
		}
		c.hashing = a
	}
	if part {
		// The last byte, inclusive. It stands for one command.
		reply, err := c.do(ctx, "hash", p, "RANG", fmt.Sprintf("0 %d", length-1))
		if err != nil {
			return nil, err
		}
		if !reply.Completed() && !reply.Intermediate() {
			return nil, c.refusal("hash", p, "RANG", reply)
		}
	}
	command, err := c.pathCommand(ctx, "hash", p, "HASH", "")
	if err != nil {
		return nil, err
	}
	reply, err := c.doPatiently(ctx, "hash", p, command, hashPatience(length))
	if err != nil {
		return nil, err
	}
	return c.hashOf(p, "HASH", reply, parseHASH(reply, a, length))
}

func (c *Conn) hashOf(p, verb string, reply control.Reply, digest []byte) ([]byte, error) {
	if !reply.Completed() {
		return nil, c.refusal("hash", p, verb, reply)
	}
	if digest == nil {
		return nil, &Error{Op: "hash", Path: p, Err: fmt.Errorf("%w: no hash in %q", ErrProtocol, shorten(reply.Text()))}
	}
	return digest, nil
}

// hashPatience is how long a server may take to read so many bytes.
func hashPatience(bytes int64) time.Duration {
	const least, perSecond = 10 * time.Second, 50_000_000
	return least + time.Duration(bytes/perSecond)*time.Second
}

// parseHASH reads "213 SHA-256 0-49 6169...cc name". The range ends with the last byte, or
// behind it (ProFTPD); one that ends elsewhere is of another file than the one asked about.
func parseHASH(reply control.Reply, a Algorithm, length int64) []byte {
	fields := strings.Fields(reply.Last())
	if len(fields) < 3 || !strings.EqualFold(fields[0], string(a)) {
		return nil
	}
	var first, last int64
	if n, err := fmt.Sscanf(fields[1], "%d-%d", &first, &last); n != 2 || err != nil || first != 0 || last != length && last != length-1 {
		return nil
	}
	return digest(fields[2], a.New().Size())
}

// parseDigest finds the hash in a reply whose form is up to the server: alone, behind the
// name of the file, or before it; in quotes or not. nil means that there is none, or more
// than one thing that could be it.
func parseDigest(reply control.Reply, p string, size int) []byte {
	text := reply.Last()
	without := strings.Replace(text, p, " ", 1) // it may look like a hash itself
	for _, candidate := range []string{without, text} {
		var found []string
		for _, field := range strings.FieldsFunc(candidate, func(r rune) bool { return !isHex(r) && !isName(r) }) {
			if digest(field, size) != nil && !slices.ContainsFunc(found, func(f string) bool { return strings.EqualFold(f, field) }) {
				found = append(found, field)
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return digest(found[0], size)
		default:
			return nil
		}
	}
	return nil
}

// isName keeps words together that are no hash, such as a name with a hash in it.
func isName(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '_' || r == '.' || r == '/'
}

func isHex(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'F' || r >= 'a' && r <= 'f'
}

// digest decodes a hash of size bytes, nil if it is none. Some servers print a CRC without
// its leading zeros.
func digest(text string, size int) []byte {
	if size == crc32.Size && len(text) > 2*size-4 && len(text) < 2*size {
		text = strings.Repeat("0", 2*size-len(text)) + text
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != size {
		return nil
	}
	return b
}
