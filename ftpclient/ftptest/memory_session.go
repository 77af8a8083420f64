package ftptest

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// memorySession is one control connection.
type memorySession struct {
	server  *Memory
	control net.Conn
	lines   *bufio.Reader
	folder  string
	from    string      // of RNFR
	offset  int64       // of REST
	secure  *tls.Config // nil: no TLS
	eager   *eagerConn  // what is below TLS
	private bool        // PROT P
	passive net.Listener
	fault   Fault
	err     error
}

func (s *memorySession) run() {
	s.reply("220 ready")
	for s.err == nil {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		time.Sleep(s.server.Latency)
		if s.server.Before != nil {
			s.server.Before(line)
		}
		s.fault = NoFault
		if s.server.Fault != nil {
			s.server.mutex.Lock()
			s.fault = s.server.Fault(line)
			s.server.mutex.Unlock()
		}
		if s.fault == CutBefore {
			return
		}
		if s.server.Refuse != nil {
			if refusal := s.server.Refuse(line); refusal != "" {
				s.reply("%s", refusal)
				continue
			}
		}
		verb, argument, _ := strings.Cut(line, " ")
		s.command(strings.ToUpper(verb), argument)
		if strings.EqualFold(verb, "QUIT") {
			return
		}
	}
}

func (s *memorySession) reply(format string, values ...any) {
	if s.fault == CutAfter {
		s.err = net.ErrClosed
	}
	if s.err == nil {
		_, s.err = io.WriteString(s.control, strings.ReplaceAll(fmt.Sprintf(format, values...), "\n", "\r\n")+"\r\n")
	}
}

// memoryReplies are those that depend on nothing.
var memoryReplies = map[string]string{
	"USER": "331 password", "PASS": "230 welcome", "NOOP": "200 ok", "TYPE": "200 ok", "MODE": "200 ok", "STRU": "200 ok",
	"OPTS": "200 ok", "QUIT": "221 bye", "SYST": "215 UNIX Type: L8", "ABOR": "226 nothing to end", "ALLO": "202 no need", "CLNT": "200 ok",
}

func (s *memorySession) command(verb, argument string) {
	if reply, ok := memoryReplies[verb]; ok {
		s.reply("%s", reply)
		return
	}
	name := path.Clean(argument)
	if !path.IsAbs(name) {
		name = path.Join(s.folder, argument)
	}
	switch verb {
	case "FEAT":
		s.features()
	case "AUTH":
		s.encrypt(argument)
	case "PBSZ", "PROT":
		s.private = argument == "P"
		s.reply("200 ok")
	case "PWD":
		s.reply("257 \"%s\" is the folder", strings.ReplaceAll(s.folder, `"`, `""`))
	case "EPSV":
		s.closePassive()
		s.passive, s.err = s.server.network.listen()
		if s.err == nil && !s.server.track(s.passive) { // nobody comes, and nobody is to be waited for
			s.err = net.ErrClosed
		}
		if s.err == nil {
			s.reply("229 entering (|||%d|)", s.passive.Addr().(*net.TCPAddr).Port)
		}
	case "REST":
		offset, err := strconv.ParseInt(argument, 10, 64)
		if !s.server.Abilities.Restart || err != nil || offset < 0 {
			s.reply("502 no")
			return
		}
		s.offset = offset
		s.reply("350 from there")
	case "STOR", "APPE", "RETR", "LIST", "MLSD", "NLST":
		s.transfer(verb, name)
		s.offset = 0
	default:
		s.server.mutex.Lock()
		reply := s.change(verb, name, argument)
		s.server.mutex.Unlock()
		s.reply("%s", reply)
	}
}

// encrypt carries out AUTH.
func (s *memorySession) encrypt(argument string) {
	if s.server.TLS == nil || !strings.EqualFold(argument, "TLS") || s.secure != nil {
		s.reply("502 no")
		return
	}
	s.secure = &tls.Config{Certificates: []tls.Certificate{s.server.TLS()}}
	s.reply("234 go ahead")
	s.eager = newEagerConn(s.control)
	encrypted := tls.Server(s.eager, s.secure)
	s.control, s.lines = encrypted, bufio.NewReader(encrypted)
	s.err = errors.Join(s.err, encrypted.Handshake())
}

// eagerConn writes without waiting for the reader, as TCP does: who refuses a certificate says so before all of the handshake is read.
type eagerConn struct {
	net.Conn
	queue   chan []byte
	written chan struct{}
}

func newEagerConn(conn net.Conn) *eagerConn {
	c := &eagerConn{conn, make(chan []byte, 64), make(chan struct{})}
	go func() {
		defer close(c.written)
		for p := range c.queue {
			c.Conn.Write(p) // an error is that of a connection that is gone
		}
	}()
	return c
}

func (c *eagerConn) Write(p []byte) (int, error) {
	c.queue <- slices.Clone(p)
	return len(p), nil
}

// flush returns when all is written, or nobody reads it any more. Then nothing may be written.
func (c *eagerConn) flush() {
	close(c.queue)
	c.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	<-c.written
}

func (s *memorySession) features() {
	can := s.server.Abilities
	text := "211-can\n UTF8\n SIZE\n EPSV"
	facts := " MLST type*;size*;modify*;unique*;"
	if can.NoUnique {
		facts = " MLST type*;size*;modify*;"
	}
	for feature, has := range map[string]bool{" AUTH TLS": s.server.TLS != nil, facts: can.MLSD, " MDTM": can.MDTM, " MFMT": can.MFMT, " REST STREAM": can.Restart, " XSHA256": can.Hashes} {
		if has {
			text += "\n" + feature
		}
	}
	s.reply("%s\n211 end", text)
}

// change carries out a command on files and folders and returns the reply. The server is locked.
func (s *memorySession) change(verb, name, argument string) string {
	m, wanted := s.server, name
	name = m.key(name)
	node := m.nodes[name]
	switch verb {
	case "CWD":
		if node == nil || !node.dir {
			return "550 no such folder"
		}
		s.folder = name
		return "250 there"
	case "CDUP":
		s.folder = path.Dir(s.folder)
		return "250 there"
	case "MKD":
		if parent := m.nodes[path.Dir(name)]; node != nil || parent == nil || !parent.dir {
			return "550 exists, or has no parent"
		}
		m.nodes[name] = m.node(&memoryNode{dir: true, modified: time.Now()})
		m.touched(name)
		return fmt.Sprintf("257 %q made", name)
	case "RMD", "DELE":
		switch {
		case node == nil:
			return "550 No such file or directory"
		case node.dir != (verb == "RMD"):
			return "550 not of that kind"
		case node.dir && len(m.children(name)) > 0:
			return "550 not empty"
		}
		m.loses(verb, name)
		delete(m.nodes, name)
		m.touched(name)
		return "250 gone"
	case "RNFR":
		switch {
		case m.Abilities.NoRename:
			return "502 not here"
		case node == nil:
			return "550 No such file or directory"
		}
		s.from = name
		return "350 to what"
	case "RNTO":
		if name == s.from && wanted != name { // only its case changes
			name, node = path.Join(path.Dir(name), path.Base(wanted)), nil
		}
		moved, parent := m.nodes[s.from], m.nodes[path.Dir(name)]
		if moved == nil || parent == nil || !parent.dir || node != nil && (node.dir || moved.dir) || strings.HasPrefix(name, s.from+"/") {
			return "550 cannot"
		}
		if node != nil && m.Abilities.NoReplace {
			return "550 File exists"
		}
		m.loses(verb, name)
		m.rename(s.from, name)
		m.told(name)
		return "250 renamed"
	case "MFMT":
		stamp, file, _ := strings.Cut(argument, " ")
		node := m.nodes[m.key(file)]
		modified, err := time.Parse("20060102150405", stamp)
		if !m.Abilities.MFMT || node == nil || err != nil {
			return "550 cannot"
		}
		if node.modified = modified; m.Abilities.EvenSeconds {
			node.modified = modified.Truncate(2 * time.Second)
		}
		m.written(m.key(file))
		if m.Abilities.TimesUntold {
			return "200 done"
		}
		return "213 Modify=" + stamp + "; " + file
	}
	if what, order, _ := strings.Cut(argument, " "); verb == "SITE" && m.Abilities.Chmod && strings.EqualFold(what, "CHMOD") {
		return m.chmod(order)
	}
	return s.look(verb, name, node)
}

func (m *Memory) chmod(order string) string {
	digits, file, _ := strings.Cut(order, " ")
	mode, err := strconv.ParseUint(digits, 8, 9)
	node := m.nodes[m.key(file)]
	if err != nil || node == nil {
		return "550 cannot"
	}
	node.mode = fs.FileMode(mode)
	return "200 changed"
}

// look answers questions about one path. The server is locked.
func (s *memorySession) look(verb, name string, node *memoryNode) string {
	can := s.server.Abilities
	if verb == "SIZE" || verb == "MDTM" && can.MDTM || verb == "MLST" && can.MLSD || verb == "XSHA256" && can.Hashes {
		switch {
		case node == nil:
			return "550 No such file or directory"
		case node.dir && verb != "MLST":
			return "550 not a plain file"
		}
	}
	switch {
	case verb == "SIZE":
		return fmt.Sprintf("213 %d", len(node.content))
	case verb == "XSHA256" && can.Hashes:
		return fmt.Sprintf("250 %X", sha256.Sum256([]byte(node.content)))
	case verb == "MDTM" && can.MDTM:
		return "213 " + node.modified.UTC().Format("20060102150405")
	case verb == "MLST" && can.MLSD:
		return "250-here\n " + node.facts(can) + " " + name + "\n250 end"
	}
	return "500 not known"
}

func (m *Memory) loses(verb, name string) {
	if node := m.nodes[name]; m.Lost != nil && node != nil && !node.dir {
		m.Lost(verb, name, string(node.content))
	}
}

func (m *Memory) told(name string) {
	if node := m.nodes[name]; m.Changed != nil && node != nil && !node.dir {
		m.Changed(name, string(node.content))
	}
}

func (m *Memory) children(folder string) []string {
	var names []string
	for name := range m.nodes {
		if name != "/" && path.Dir(name) == folder {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names
}

func (n *memoryNode) facts(can Abilities) string {
	facts := "type=dir;"
	if !n.dir {
		facts = fmt.Sprintf("type=file;size=%d;", len(n.content))
	}
	facts += fmt.Sprintf("modify=%s;", n.modified.UTC().Format("20060102150405"))
	if !can.NoUnique {
		facts += fmt.Sprintf("unique=%x;", n.unique)
	}
	return facts
}

func (n *memoryNode) line(zone *time.Location) string {
	kind, stamp := n.mode.String(), n.modified.In(zone).Format("Jan _2 15:04")
	if n.dir {
		kind = "drwxr-xr-x"
	}
	if age := time.Since(n.modified); age > 180*24*time.Hour || age < -time.Hour {
		stamp = n.modified.In(zone).Format("Jan _2  2006")
	}
	return fmt.Sprintf("%s 1 ferry ferry %10d %s ", kind, len(n.content), stamp)
}

// closePassive ends the listener for data connections.
func (s *memorySession) closePassive() {
	if s.passive != nil {
		s.passive.Close()
		s.passive = nil
	}
}

// transfer carries out a command with a data connection.
func (s *memorySession) transfer(verb, name string) {
	if s.passive == nil {
		s.reply("425 where")
		return
	}
	content, refusal := s.outgoing(verb, name)
	if refusal != "" {
		s.reply("%s", refusal)
		return
	}
	s.reply("150 here it comes")
	if s.err != nil {
		return
	}
	data, err := s.passive.Accept()
	s.closePassive()
	if err != nil {
		s.reply("425 nobody came")
		return
	}
	if s.private {
		data = tls.Server(data, s.secure)
	}
	if s.fault == CutData || s.fault == CutBoth {
		err = s.half(data, verb, name, content)
	} else if verb == "STOR" || verb == "APPE" {
		_, err = io.Copy(memoryWriter{s.server, name, s.fault == FlipByte}, data)
	} else {
		if s.fault == CutListing && verb != "RETR" {
			content = content[:len(content)/2]
		}
		_, err = data.Write(content)
	}
	data.Close()
	if s.fault == CutBoth {
		s.err = net.ErrClosed
	}
	if err != nil {
		s.reply("426 cut")
		return
	}
	if verb == "STOR" || verb == "APPE" {
		s.server.mutex.Lock()
		s.server.told(s.server.key(name))
		s.server.mutex.Unlock()
	}
	s.reply("226 done")
}

// half moves some of the data and says that it broke off.
func (s *memorySession) half(data net.Conn, verb, name string, content []byte) error {
	if verb == "STOR" || verb == "APPE" {
		io.CopyN(memoryWriter{s.server, name, false}, data, 700)
	} else {
		data.Write(content[:len(content)/2])
	}
	return errors.New("cut")
}

// outgoing returns what is to be sent, or why nothing is, and makes room for what comes.
func (s *memorySession) outgoing(verb, name string) (content []byte, refusal string) {
	m := s.server
	m.mutex.Lock()
	defer m.mutex.Unlock()
	name = m.key(name)
	node := m.nodes[name]
	switch verb {
	case "STOR", "APPE":
		parent := m.nodes[path.Dir(name)]
		if parent == nil || !parent.dir || node != nil && node.dir {
			return nil, "550 No such file or directory"
		}
		if node == nil {
			node = m.node(&memoryNode{})
			m.nodes[name] = node
			m.touched(name)
		}
		if verb == "STOR" && s.offset > int64(len(node.content)) {
			return nil, "554 beyond the end"
		}
		if verb == "STOR" && s.offset == 0 {
			m.loses(verb, name)
		}
		if verb == "STOR" {
			node.content = node.content[:s.offset:s.offset]
		}
		node.modified = time.Now()
		m.written(name)
		return nil, ""
	case "RETR":
		if node == nil || node.dir || s.offset > int64(len(node.content)) {
			return nil, "550 No such file or directory"
		}
		return slices.Clone(node.content[s.offset:]), ""
	}
	folder := s.folder
	if node != nil && node.dir {
		folder = name
	}
	if verb == "MLSD" && !m.Abilities.MLSD {
		return nil, "500 not known"
	}
	var text strings.Builder
	for _, child := range m.children(folder) {
		if m.Abilities.HideDots && strings.HasPrefix(child, ".") {
			continue
		}
		node := m.nodes[path.Join(folder, child)]
		switch verb {
		case "MLSD":
			text.WriteString(node.facts(m.Abilities) + " " + child + "\r\n")
		case "LIST":
			text.WriteString(node.line(m.Abilities.Zone) + child + "\r\n")
		default:
			text.WriteString(child + "\r\n")
		}
	}
	return []byte(text.String()), ""
}

// memoryWriter appends to a file, if that is still there.
type memoryWriter struct {
	server *Memory
	name   string
	flips  bool
}

func (w memoryWriter) Write(p []byte) (int, error) {
	w.server.mutex.Lock()
	defer w.server.mutex.Unlock()
	node := w.server.nodes[w.server.key(w.name)]
	if node == nil {
		return 0, errors.New("the file is gone")
	}
	node.content = append(node.content, p...)
	if w.flips {
		node.content[len(node.content)-1] ^= 1
	}
	node.modified = time.Now()
	w.server.written(w.server.key(w.name))
	return len(p), nil
}
