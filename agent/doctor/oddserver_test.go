package doctor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

// oddServer is an FTP server in memory that knows what RFC 959 demands and nothing else. hook
// comes first: what it returns is the reply, "" leaves the command to the server, "hang up" ends the connection.
type oddServer struct {
	address string
	hook    func(verb, argument string) string

	mutex    sync.Mutex
	files    map[string]string
	folders  map[string]bool
	sessions int
	most     int            // sessions at a time that were seen
	limit    int            // of sessions; 0 for none
	commands map[string]int // how often each was sent
	open     map[net.Conn]bool
}

func newOddServer(t *testing.T, limit int, hook func(verb, argument string) string) *oddServer {
	t.Helper()
	if hook == nil {
		hook = func(string, string) string { return "" }
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &oddServer{
		address: listener.Addr().String(), hook: hook, files: map[string]string{"/precious.txt": "keep me"},
		folders: map[string]bool{"/": true}, commands: map[string]int{}, open: map[net.Conn]bool{}, limit: limit,
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.mutex.Lock()
		for conn := range s.open {
			conn.Close()
		}
		s.mutex.Unlock()
		all.Wait()
	})
	return s
}

// left is what is on the server beside what was there.
func (s *oddServer) left() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	left := slices.Collect(maps.Keys(s.files))
	for folder := range s.folders {
		if folder != "/" {
			left = append(left, folder+"/")
		}
	}
	return slices.DeleteFunc(left, func(name string) bool { return name == "/precious.txt" })
}

func (s *oddServer) count(verb string) int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.commands[verb]
}

func (s *oddServer) serve(conn net.Conn) {
	s.mutex.Lock()
	s.open[conn] = true
	s.sessions++
	s.most = max(s.most, s.sessions)
	full := s.limit > 0 && s.sessions > s.limit
	s.mutex.Unlock()
	defer func() {
		s.mutex.Lock()
		delete(s.open, conn)
		s.sessions--
		s.mutex.Unlock()
		conn.Close()
	}()
	if full {
		io.WriteString(conn, "421 Too many connections\r\n")
		return
	}
	session := &oddSession{server: s, conn: conn, cwd: "/"}
	defer session.endData()
	io.WriteString(conn, "220 \x1b[31modd server\r\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		verb, argument, _ := strings.Cut(lines.Text(), " ")
		verb = strings.ToUpper(verb)
		s.mutex.Lock()
		s.commands[verb]++
		reply := s.hook(verb, argument)
		if reply == "" {
			reply = session.do(verb, argument)
		}
		s.mutex.Unlock()
		if reply == "hang up" {
			return
		}
		io.WriteString(conn, reply+"\r\n")
		if after := session.after; after != nil {
			session.after = nil
			io.WriteString(conn, after()+"\r\n")
		}
		if verb == "QUIT" {
			return
		}
	}
}

type oddSession struct {
	server  *oddServer
	conn    net.Conn
	cwd     string
	from    string
	passive net.Listener
	after   func() string // the transfer
}

func (o *oddSession) endData() {
	if o.passive != nil {
		o.passive.Close()
	}
}

func (o *oddSession) at(p string) string {
	if !strings.HasPrefix(p, "/") {
		p = path.Join(o.cwd, p)
	}
	return path.Clean(p)
}

// do is called with the server's mutex held.
func (o *oddSession) do(verb, argument string) string {
	s, p := o.server, o.at(argument)
	_, isFile := s.files[p]
	switch verb {
	case "USER":
		return "331 password"
	case "PASS":
		return "230 in"
	case "TYPE", "NOOP", "MODE", "STRU":
		return "200 fine"
	case "QUIT":
		return "221 bye"
	case "PWD":
		return `257 "` + o.cwd + `"`
	case "CWD":
		if !s.folders[p] {
			return "550 no"
		}
		o.cwd = p
		return "250 there"
	case "MKD":
		if s.folders[p] || isFile || !s.folders[path.Dir(p)] {
			return "550 no"
		}
		s.folders[p] = true
		return `257 "` + p + `"`
	case "RMD":
		if !s.folders[p] || len(o.within(p)) > 0 {
			return "550 no"
		}
		delete(s.folders, p)
		return "250 gone"
	case "DELE":
		if !isFile {
			return "550 no"
		}
		delete(s.files, p)
		return "250 gone"
	case "RNFR":
		if !isFile {
			return "550 no"
		}
		o.from = p
		return "350 to"
	case "RNTO":
		if isFile {
			return "553 there is one"
		}
		s.files[p] = s.files[o.from]
		delete(s.files, o.from)
		return "250 moved"
	case "PASV":
		return o.listen()
	case "LIST", "NLST", "STOR", "RETR":
		return o.transfer(verb, p, isFile)
	}
	return "502 not implemented"
}

// within are the names in a folder.
func (o *oddSession) within(folder string) []string {
	var names []string
	for p := range o.server.files {
		if path.Dir(p) == folder {
			names = append(names, path.Base(p))
		}
	}
	for p := range o.server.folders {
		if path.Dir(p) == folder && p != "/" {
			names = append(names, path.Base(p)+"/")
		}
	}
	slices.Sort(names)
	return names
}

func (o *oddSession) listen() string {
	o.endData()
	var err error
	if o.passive, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return "425 " + err.Error()
	}
	port := o.passive.Addr().(*net.TCPAddr).Port
	return fmt.Sprintf("227 go to (127,0,0,1,%d,%d)", port>>8, port&255)
}

func (o *oddSession) transfer(verb, p string, isFile bool) string {
	if o.passive == nil || verb == "RETR" && !isFile {
		return "550 no"
	}
	var b strings.Builder
	if verb == "RETR" {
		b.WriteString(o.server.files[p])
	}
	for _, name := range o.within(o.cwd) {
		bare := strings.TrimSuffix(name, "/")
		switch {
		case verb == "NLST":
			b.WriteString(bare + "\r\n")
		case verb == "LIST" && bare != name:
			fmt.Fprintf(&b, "drwxr-xr-x 2 u g 0 Jan  1  2024 %s\r\n", bare)
		case verb == "LIST":
			fmt.Fprintf(&b, "-rw-r--r-- 1 u g %d Jan  1  2024 %s\r\n", len(o.server.files[path.Join(o.cwd, name)]), name)
		}
	}
	passive := o.passive
	o.passive = nil
	o.after = func() string {
		defer passive.Close()
		data, err := passive.Accept()
		if err != nil {
			return "425 nobody"
		}
		defer data.Close()
		if verb != "STOR" {
			_, err = io.WriteString(data, b.String())
		} else {
			var content []byte
			content, err = io.ReadAll(data)
			o.server.mutex.Lock()
			o.server.files[p] = string(content)
			o.server.mutex.Unlock()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "426 " + err.Error()
		}
		return "226 done"
	}
	return "150 here it comes"
}
