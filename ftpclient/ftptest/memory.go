package ftptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
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
	// Refuse, if not nil, is asked before each command by as many goroutines as there are connections; what it returns, if not "", is the
	// reply, and the command is not carried out.
	Refuse func(line string) string
	// TLS, if not nil, has the server take AUTH TLS, and is asked each time for the certificate to show.
	TLS func() tls.Certificate
	// Latency is how long each command takes.
	Latency time.Duration
	// Before, if not nil, is called before each command, by as many goroutines as there are connections. It may wait.
	Before func(line string)
	// Changed, if not nil, is told each time a command has given a file a name or finished it, with what it holds, and Lost each
	// time a command makes an end to what a file holds: the command, the name and the content. They must not call the server.
	Changed func(name, content string)
	Lost    func(verb, name, content string)

	network  *pipeNetwork
	control  net.Listener
	sessions sync.WaitGroup

	mutex  sync.Mutex
	lies   bool                   // see Lie
	nodes  map[string]*memoryNode // by absolute path; the root is "/"
	unique int
	open   map[io.Closer]bool // connections, and listeners for data
	down   bool
}

// Abilities are what a [Memory] can do beyond RFC 959.
type Abilities struct {
	// MLSD also stands for MLST. Without it listings are those of ls, in minutes, and in the time of Zone.
	MLSD, MDTM, MFMT, Restart bool
	// NoRename refuses RNFR, NoReplace an RNTO to the name of a file.
	NoRename, NoReplace bool
	// Hashes has it tell the SHA-256 of files (XSHA256).
	Hashes bool
	// HideDots leaves names that begin with a dot out of listings.
	HideDots bool
	// IgnoreCase takes names that differ in case only for one, and keeps the case of the first.
	IgnoreCase bool
	// NoUnique leaves out the fact that tells one file from another.
	NoUnique bool
	// FolderTimes: the time of a folder follows every change of what is directly in it. Without it stays what it was.
	FolderTimes bool
	// TimesUntold: the reply to MFMT does not say which time was set.
	TimesUntold bool
	// EvenSeconds: files have times as on FAT, whatever the reply to MFMT says.
	EvenSeconds bool
	// Chmod takes SITE CHMOD.
	Chmod bool
	Zone  *time.Location
}

// Fault is what goes wrong with a command.
type Fault int

// The faults: the connection ends before the command is carried out, or when it is and before the reply; the data connection
// ends in the middle and the control connection stays, or goes too; a listing ends early and is said to be complete; one byte
// of an upload becomes another one.
const (
	NoFault Fault = iota
	CutBefore
	CutAfter
	CutData
	CutBoth
	CutListing
	FlipByte
)

type memoryNode struct {
	dir      bool
	content  []byte
	modified time.Time
	mode     fs.FileMode
	unique   int
}

// NewMemory starts a server with an empty root folder. It ends with the test.
func NewMemory(t testing.TB, abilities Abilities) *Memory {
	t.Helper()
	m := &Memory{
		Abilities: abilities, network: &pipeNetwork{listeners: map[string]*pipeListener{}},
		nodes: map[string]*memoryNode{"/": {dir: true, unique: 1}}, unique: 1, open: map[io.Closer]bool{},
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
		for one := range m.open {
			one.Close()
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

func (m *Memory) track(one io.Closer) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if !m.down {
		m.open[one] = true
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
			if s.eager != nil {
				s.eager.flush()
			}
		})
	}
}

// Put makes a file, or replaces it, and the folders above it.
func (m *Memory) Put(name, content string, modified time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	name = m.key(name)
	m.makeAll(path.Dir(name))
	m.nodes[name] = m.node(&memoryNode{content: []byte(content), modified: modified})
	m.touched(name)
}

// Edit overwrites a file in place, as it is by now.
func (m *Memory) Edit(name, content string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	node := m.nodes[m.key(name)]
	node.content, node.modified = []byte(content), time.Now()
	m.written(name)
}

// Lie has the times of folders stay as they are when a file is overwritten in place, as on a Unix filesystem.
func (m *Memory) Lie() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.lies = true
}

// touched gives the folder that name is in the time of now, and written does after the file itself was written.
func (m *Memory) touched(name string) {
	if parent := m.nodes[path.Dir(name)]; m.Abilities.FolderTimes && parent != nil {
		parent.modified = time.Now()
	}
}

func (m *Memory) written(name string) {
	if !m.lies {
		m.touched(name)
	}
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
		m.touched(name)
	}
}

func (m *Memory) node(n *memoryNode) *memoryNode {
	m.unique++
	n.unique, n.mode = m.unique, 0o644
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
	m.touched(name)
}

// Rename moves a file, or a folder with all that is in it, over what is there.
func (m *Memory) Rename(from, to string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.rename(from, to)
}

// Shift moves the times of all files, as a server does whose clock or time zone is changed.
func (m *Memory) Shift(by time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, node := range m.nodes {
		node.modified = node.modified.Add(by)
	}
}

// Save returns a function that makes all files and folders what they are now.
func (m *Memory) Save() (restore func()) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	saved := m.copied()
	return func() {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		m.nodes = saved
	}
}

// key is the name under which a file or folder of that name is known, or would be.
func (m *Memory) key(name string) string {
	if m.nodes[name] != nil || !m.Abilities.IgnoreCase || name == "/" {
		return name
	}
	for known := range m.nodes {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return path.Join(m.key(path.Dir(name)), path.Base(name))
}

func (m *Memory) copied() map[string]*memoryNode {
	nodes := map[string]*memoryNode{}
	for name, node := range m.nodes {
		same := *node
		same.content = slices.Clone(node.content)
		nodes[name] = &same
	}
	return nodes
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
	m.touched(from)
	m.touched(to)
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

// Modes returns the permissions of all files, by their paths.
func (m *Memory) Modes() map[string]fs.FileMode {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	modes := map[string]fs.FileMode{}
	for name, node := range m.nodes {
		if !node.dir {
			modes[name] = node.mode
		}
	}
	return modes
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
