package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// ground is a network with a server and, on the client's host, the program.
type ground struct {
	*ftptest.Network
	t       *testing.T
	server  *ftptest.RealServer
	dir     string            // of the program: configuration, state, files
	folders map[string]string // by "SIDE/SYNC", such as "local/up"
}

// newGround builds a network with a server that takes calls on few passive ports: proftpd in clear, or vsftpd by TLS.
func newGround(t *testing.T, layout ftptest.Layout, secured bool, o ftptest.RealOptions) *ground {
	t.Helper()
	n := layout.Build(t)
	name := "proftpd"
	if secured {
		name = "vsftpd"
	}
	o.RequireTLS, o.Host, o.Address, o.PassivePorts = secured, n.Server, n.ServerAddress, [2]int{60000, 60100}
	g := &ground{Network: n, t: t, server: ftptest.Real(t, name, o), dir: t.TempDir(), folders: map[string]string{}}
	for _, sync := range []string{"up", "down"} {
		g.folders["local/"+sync], g.folders["remote/"+sync] = filepath.Join(g.dir, sync), filepath.Join(g.server.Root, sync)
	}
	for _, folder := range g.folders {
		if err := os.Mkdir(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		os.Chmod(folder, 0o777)
	}
	return g
}

// section is the table of the server in a configuration.
func (g *ground) section(data string) string {
	secured := `tls = "none"`
	if g.server.CAFile != "" {
		secured = fmt.Sprintf("tls_ca = %q\ntls_server_name = \"localhost\"", g.server.CAFile)
	}
	return fmt.Sprintf("[server.real]\naddress = %q\nuser = %q\npassword = %q\nconnections = 1\n%s\ndata = { %s }\n",
		g.Address, g.server.User, g.server.Password, secured, data)
}

// configure writes a configuration, whose state is its own, and returns where it is.
func (g *ground) configure(name, section string) string {
	g.t.Helper()
	config := filepath.Join(g.dir, name+".toml")
	text := fmt.Sprintf("[agent]\nstate_dir = %q\nlog = { level = \"info\", format = \"json\" }\n%s", name+"-state", section)
	for _, sync := range []string{"up", "down"} {
		text += fmt.Sprintf("[sync.%s]\nserver = \"real\"\nlocal = %q\nremote = %q\ndirection = %q\nwatch = %v\nsettle = \"0s\"\n",
			sync, sync, sync, sync, sync == "up")
		if sync == "down" {
			text += "schedule = [\"@every 1m\"]\n"
		}
	}
	write(g.t, config, text)
	return config
}

// put makes a file with bytes that differ from name to name.
func (g *ground) put(folder, name string, size int) {
	g.t.Helper()
	path := filepath.Join(g.folders[folder], name)
	text := strings.Repeat(name+" ", size/len(name)+1)[:size]
	// In one step, so that a watch sees all of it.
	write(g.t, path+".new", text)
	os.Chmod(path+".new", 0o666)
	if err := os.Rename(path+".new", filepath.Join(filepath.Dir(path), name)); err != nil {
		g.t.Fatal(err)
	}
}

// inStep reports whether both syncs are.
func (g *ground) inStep() bool {
	for _, sync := range []string{"up", "down"} {
		local, remote := g.hashes("local/"+sync), g.hashes("remote/"+sync)
		if len(local) != len(remote) {
			return false
		}
		for name, hash := range local {
			if remote[name] != hash {
				return false
			}
		}
	}
	return true
}

// has reports whether the server has a file.
func (g *ground) has(folder, name string) bool {
	_, err := os.Stat(filepath.Join(g.folders["remote/"+folder], name))
	return err == nil
}

func (g *ground) hashes(folder string) map[string]string {
	g.t.Helper()
	return hashes(g.t, g.folders[folder])
}

// running is the program at work on the client's host. Its log grows in a file.
type running struct {
	*exec.Cmd
	t       *testing.T
	out     bytes.Buffer
	logFile string
	began   time.Time
	took    time.Duration // once it has ended
}

func (g *ground) start(config string, arguments ...string) *running {
	g.t.Helper()
	r := &running{Cmd: command(g.t, config, arguments...), t: g.t, began: time.Now()}
	r.Env = append(r.Env, "GORACE=atexit_sleep_ms=0") // the race detector takes a second to end
	log, err := os.CreateTemp(g.dir, "*.log")
	if err != nil {
		g.t.Fatal(err)
	}
	defer log.Close()
	r.logFile = log.Name()
	r.Stdout, r.Stderr = &r.out, log
	if err := g.Client.Start(r.Cmd); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		if r.ProcessState == nil {
			r.Process.Kill()
			r.Wait()
		}
		if g.t.Failed() {
			g.t.Logf("%v: %s\n%s%s", arguments, r.ProcessState, r.out.Bytes(), r.log())
		}
	})
	return r
}

// log is what the program has logged so far.
func (r *running) log() string {
	text, err := os.ReadFile(r.logFile)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// events are the entries of the log with a message.
func (r *running) events(message string) (found []map[string]any) {
	for line := range strings.Lines(r.log()) {
		var event map[string]any
		if json.Unmarshal([]byte(line), &event) == nil && event["msg"] == message {
			found = append(found, event)
		}
	}
	return found
}

// end waits for the end, which has to come with an exit code.
func (r *running) end(code int) {
	r.t.Helper()
	err := r.Wait()
	r.took = time.Since(r.began)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if got := r.ProcessState.ExitCode(); got != code {
		r.t.Errorf("%v: exit code %d after %s, want %d\n%s%s", r.Args[1:], got, r.took, code, r.out.Bytes(), r.log())
	}
}

// await waits until something is true, and tells how long that took.
func (g *ground) await(what string, isTrue func() bool) time.Duration {
	g.t.Helper()
	began := time.Now()
	for !isTrue() {
		if time.Since(began) > patience {
			g.t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(began)
}

// view looks into the state of a configuration, while no program works with it.
func (g *ground) view(name string, look func(tx *state.Tx) error) {
	g.t.Helper()
	db, err := state.Open(filepath.Join(g.dir, name+"-state", stateFile), state.Options{ReadOnly: true})
	if err != nil {
		g.t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(look); err != nil {
		g.t.Fatal(err)
	}
}

// memory is what the state has about the gateway.
func (g *ground) memory(name string) (memory extip.Memory) {
	g.t.Helper()
	g.view(name, func(tx *state.Tx) error {
		data, err := state.GetLocatorMemory(tx)
		if err != nil || len(data) == 0 {
			return err
		}
		return json.Unmarshal(data, &memory)
	})
	return memory
}

var mappingRule = regexp.MustCompile(`th dport (\d+) dnat ip to (10\.10\.0\.2:\d+)`)

// mappings are the ports that the gateway has open, as "OUTSIDE to ADDRESS".
func (g *ground) mappings() (open []string) {
	g.t.Helper()
	for _, match := range mappingRule.FindAllStringSubmatch(g.Gateway.Run("nft", "list", "table", "inet", "mapping"), -1) {
		open = append(open, match[1]+" to "+match[2])
	}
	slices.Sort(open)
	return open
}

// sent counts the uploads that the server began.
func (g *ground) sent() int {
	stor := `(?m)^STOR `
	if g.server.Name == "vsftpd" {
		stor = `FTP command: Client "[^"]*", "STOR `
	}
	return len(regexp.MustCompile(stor).FindAllString(g.server.Log(), -1))
}

// leftovers fails the test if there is anything on the server but whole files under their own names.
func (g *ground) leftovers(want ...string) {
	g.t.Helper()
	var found []string
	for _, folder := range []string{"remote/up", "remote/down"} {
		entries, err := os.ReadDir(g.folders[folder])
		if err != nil {
			g.t.Fatal(err)
		}
		for _, entry := range entries {
			if info, err := entry.Info(); err != nil || info.Size() == 0 {
				g.t.Errorf("%s/%s: empty, or %v", folder, entry.Name(), err)
			}
			found = append(found, filepath.Base(folder)+"/"+entry.Name())
		}
	}
	if slices.Sort(found); !slices.Equal(found, want) {
		g.t.Errorf("on the server: %q, want %q", found, want)
	}
}
