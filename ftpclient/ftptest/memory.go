package ftptest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Memory is an FTP server that keeps its files in memory and is reached over pipes alone, so that whole syncs can run in a
// bubble of testing/synctest: [Memory.Dial] takes the place of the network, with [Memory.Proxy] as the proxy. It is as faulty
// as Fault makes it. Its methods may be called at any time by anybody.
type Memory struct {
	Addr string
	// Abilities and Fault must not be changed while there are connections.
	Abilities Abilities
	// Fault decides, before each command, what goes wrong with it. It is called by one goroutine at a time; nil is nothing.
	Fault func(line string) Fault
	// Latency is how long each command takes.
	Latency time.Duration
	// Changed, if not nil, is told each time a file or folder got a name, with what it holds. It must not call the server.
	Changed func(name, content string)

	network  *pipeNetwork
	control  net.Listener
	sessions sync.WaitGroup

	mutex  sync.Mutex
	nodes  map[string]*memoryNode // by absolute path; the root is "/"
	unique int
	open   map[net.Conn]bool
	down   bool
}

// Abilities are what a [Memory] can do beyond RFC 959.
type Abilities struct {
	// MLSD also stands for MLST. Without it listings are those of ls, in minutes, and in the time of Zone.
	MLSD, MDTM, MFMT, Restart bool
	// NoRename refuses RNFR.
	NoRename bool
	Zone     *time.Location
}

// Fault is what goes wrong with a command.
type Fault int

// The faults: the connection ends before the command is carried out, or when it is and before the reply; the data connection
// ends in the middle and the control connection stays, or goes too.
const (
	NoFault Fault = iota
	CutBefore
	CutAfter
	CutData
	CutBoth
)

type memoryNode struct {
	dir      bool
	content  []byte
	modified time.Time
	unique   int
}

// NewMemory starts a server with an empty root folder. It ends with the test.
func NewMemory(t testing.TB, abilities Abilities) *Memory {
	t.Helper()
	m := &Memory{
		Abilities: abilities, network: &pipeNetwork{listeners: map[string]*pipeListener{}},
		nodes: map[string]*memoryNode{"/": {dir: true, unique: 1}}, unique: 1, open: map[net.Conn]bool{},
	}
	if m.Abilities.Zone == nil {
		m.Abilities.Zone = time.UTC
	}
	var err error
	if m.control, err = m.network.listen(); err != nil {
		t.Fatalf("memory: %v", err)
	}
	m.Addr = m.control.Addr().String()
	m.sessions.Go(m.accept)
	t.Cleanup(m.Close)
	return m
}

// Proxy is the address that [Memory.Dial] answers at.
const Proxy = "http://192.0.2.2:8080"

// Dial connects to a proxy for CONNECT (RFC 9110 section 9.3.6) that leads to the server and to its data listeners.
func (m *Memory) Dial(context.Context, string, string) (net.Conn, error) {
	client, server := newDuplex()
	if !m.track(server) {
		return nil, errors.New("connection refused")
	}
	m.sessions.Go(func() { m.connect(server) })
	return client, nil
}

func (m *Memory) connect(server net.Conn) {
	request, err := http.ReadRequest(bufio.NewReaderSize(server, 4096))
	if err != nil {
		server.Close()
		return
	}
	m.network.mutex.Lock()
	listener := m.network.listeners[request.Host]
	m.network.mutex.Unlock()
	if listener == nil {
		io.WriteString(server, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		server.Close()
		return
	}
	if _, err := io.WriteString(server, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		server.Close()
		return
	}
	select {
	case <-listener.closed:
		server.Close()
	case listener.waiting <- addressedConn{server, listener.address}:
	}
}

// SetDown cuts all connections and takes no more of them, until it is called with false.
func (m *Memory) SetDown(down bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.down = down; down {
		for conn := range m.open {
			conn.Close()
		}
		clear(m.open)
	}
}

// Close cuts all connections and returns when all of them are gone.
func (m *Memory) Close() {
	m.SetDown(true)
	m.control.Close()
	m.sessions.Wait()
}

func (m *Memory) track(conn net.Conn) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if !m.down {
		m.open[conn] = true
	}
	return !m.down
}

func (m *Memory) accept() {
	for {
		conn, err := m.control.Accept()
		if err != nil {
			return
		}
		m.sessions.Go(func() {
			defer conn.Close()
			s := memorySession{server: m, control: conn, lines: bufio.NewReader(conn), folder: "/"}
			defer s.closePassive()
			s.run()
		})
	}
}

// Put makes a file, or replaces it, and the folders above it.
func (m *Memory) Put(name, content string, modified time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.makeAll(path.Dir(name))
	m.nodes[name] = m.node(&memoryNode{content: []byte(content), modified: modified})
}

// MakeDir makes a folder and those above it.
func (m *Memory) MakeDir(name string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.makeAll(name)
}

func (m *Memory) makeAll(name string) {
	if m.nodes[name] == nil {
		m.makeAll(path.Dir(name))
		m.nodes[name] = m.node(&memoryNode{dir: true, modified: time.Now()})
	}
}

func (m *Memory) node(n *memoryNode) *memoryNode {
	m.unique++
	n.unique = m.unique
	return n
}

// Remove removes a file, or a folder with all that is in it.
func (m *Memory) Remove(name string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for other := range m.nodes {
		if other == name || strings.HasPrefix(other, name+"/") {
			delete(m.nodes, other)
		}
	}
}

// Rename moves a file, or a folder with all that is in it, over what is there.
func (m *Memory) Rename(from, to string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.rename(from, to)
}

func (m *Memory) rename(from, to string) {
	moved := map[string]*memoryNode{}
	for name, node := range m.nodes {
		if name == from || strings.HasPrefix(name, from+"/") {
			moved[to+strings.TrimPrefix(name, from)] = node
			delete(m.nodes, name)
		}
	}
	maps.Copy(m.nodes, moved)
}

// Files returns the contents of all files, by their paths, and Folders the paths of all folders but the root.
func (m *Memory) Files() map[string]string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	files := map[string]string{}
	for name, node := range m.nodes {
		if !node.dir {
			files[name] = string(node.content)
		}
	}
	return files
}

// Folders is described at Files.
func (m *Memory) Folders() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var folders []string
	for name, node := range m.nodes {
		if node.dir && name != "/" {
			folders = append(folders, name)
		}
	}
	slices.Sort(folders)
	return folders
}

// memorySession is one control connection.
type memorySession struct {
	server  *Memory
	control net.Conn
	lines   *bufio.Reader
	folder  string
	from    string // of RNFR
	offset  int64  // of REST
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
		s.fault = NoFault
		if s.server.Fault != nil {
			s.server.mutex.Lock()
			s.fault = s.server.Fault(line)
			s.server.mutex.Unlock()
		}
		if s.fault == CutBefore {
			return
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
	case "PWD":
		s.reply("257 \"%s\" is the folder", strings.ReplaceAll(s.folder, `"`, `""`))
	case "EPSV":
		s.closePassive()
		if s.passive, s.err = s.server.network.listen(); s.err == nil {
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

func (s *memorySession) features() {
	can := s.server.Abilities
	text := "211-can\n UTF8\n SIZE\n EPSV"
	for feature, has := range map[string]bool{" MLST type*;size*;modify*;unique*;": can.MLSD, " MDTM": can.MDTM, " MFMT": can.MFMT, " REST STREAM": can.Restart} {
		if has {
			text += "\n" + feature
		}
	}
	s.reply("%s\n211 end", text)
}

// change carries out a command on files and folders and returns the reply. The server is locked.
func (s *memorySession) change(verb, name, argument string) string {
	m, node := s.server, s.server.nodes[name]
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
		delete(m.nodes, name)
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
		moved, parent := m.nodes[s.from], m.nodes[path.Dir(name)]
		if moved == nil || parent == nil || !parent.dir || node != nil && (node.dir || moved.dir) || strings.HasPrefix(name, s.from+"/") {
			return "550 cannot"
		}
		m.rename(s.from, name)
		m.told(name)
		return "250 renamed"
	case "MFMT":
		stamp, file, _ := strings.Cut(argument, " ")
		node := m.nodes[file]
		modified, err := time.Parse("20060102150405", stamp)
		if !m.Abilities.MFMT || node == nil || err != nil {
			return "550 cannot"
		}
		node.modified = modified
		return "213 Modify=" + stamp + "; " + file
	}
	return s.look(verb, name, node)
}

// look answers questions about one path. The server is locked.
func (s *memorySession) look(verb, name string, node *memoryNode) string {
	can := s.server.Abilities
	if verb == "SIZE" || verb == "MDTM" && can.MDTM || verb == "MLST" && can.MLSD {
		if node == nil || node.dir && verb != "MLST" {
			return "550 No such file or directory"
		}
	}
	switch {
	case verb == "SIZE":
		return fmt.Sprintf("213 %d", len(node.content))
	case verb == "MDTM" && can.MDTM:
		return "213 " + node.modified.UTC().Format("20060102150405")
	case verb == "MLST" && can.MLSD:
		return "250-here\n " + node.facts() + " " + name + "\n250 end"
	}
	return "500 not known"
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

func (n *memoryNode) facts() string {
	if n.dir {
		return fmt.Sprintf("type=dir;modify=%s;unique=%x;", n.modified.UTC().Format("20060102150405"), n.unique)
	}
	return fmt.Sprintf("type=file;size=%d;modify=%s;unique=%x;", len(n.content), n.modified.UTC().Format("20060102150405"), n.unique)
}

func (n *memoryNode) line(zone *time.Location) string {
	kind, stamp := "-rw-r--r--", n.modified.In(zone).Format("Jan _2 15:04")
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
	if s.fault == CutData || s.fault == CutBoth {
		err = s.half(data, verb, name, content)
	} else if verb == "STOR" || verb == "APPE" {
		_, err = io.Copy(memoryWriter{s.server, name}, data)
	} else {
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
	s.server.mutex.Lock()
	s.server.told(name)
	s.server.mutex.Unlock()
	s.reply("226 done")
}

// half moves some of the data and says that it broke off.
func (s *memorySession) half(data net.Conn, verb, name string, content []byte) error {
	if verb == "STOR" || verb == "APPE" {
		io.CopyN(memoryWriter{s.server, name}, data, 700)
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
		}
		if verb == "STOR" && s.offset > int64(len(node.content)) {
			return nil, "554 beyond the end"
		}
		if verb == "STOR" {
			node.content = node.content[:s.offset:s.offset]
		}
		node.modified = time.Now()
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
		node := m.nodes[path.Join(folder, child)]
		switch verb {
		case "MLSD":
			text.WriteString(node.facts() + " " + child + "\r\n")
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
}

func (w memoryWriter) Write(p []byte) (int, error) {
	w.server.mutex.Lock()
	defer w.server.mutex.Unlock()
	node := w.server.nodes[w.name]
	if node == nil {
		return 0, errors.New("the file is gone")
	}
	node.content = append(node.content, p...)
	node.modified = time.Now()
	return len(p), nil
}

// duplex is one end of a pipe that can be half closed, as TCP can and [net.Pipe] cannot.
type duplex struct{ in, out net.Conn }

func newDuplex() (a, b *duplex) {
	toA, fromB := net.Pipe()
	toB, fromA := net.Pipe()
	return &duplex{toA, fromA}, &duplex{toB, fromB}
}

func (d *duplex) Read(p []byte) (int, error)  { return d.in.Read(p) }
func (d *duplex) Write(p []byte) (int, error) { return d.out.Write(p) }
func (d *duplex) CloseWrite() error           { return d.out.Close() }
func (d *duplex) Close() error                { return errors.Join(d.out.Close(), d.in.Close()) }
func (d *duplex) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 8080} }
func (d *duplex) RemoteAddr() net.Addr        { return d.LocalAddr() }

// The deadlines of a pipe whose other end is closed cannot be set, and need not.

func (d *duplex) SetDeadline(t time.Time) error {
	d.in.SetDeadline(t)
	d.out.SetDeadline(t)
	return nil
}

func (d *duplex) SetReadDeadline(t time.Time) error {
	d.in.SetReadDeadline(t)
	return nil
}

func (d *duplex) SetWriteDeadline(t time.Time) error {
	d.out.SetWriteDeadline(t)
	return nil
}
