package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// commands are what the scripts can do beyond the commands of testscript. Names on the server may have bytes in them
// that are no text, written as in Go: '\xc9'.
func commands(server *ftptest.RealServer) map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	remote := func(ts *testscript.TestScript, name string) string {
		raw, err := strconv.Unquote(`"` + name + `"`)
		ts.Check(err)
		return filepath.Join(server.Root, ts.Name(), filepath.FromSlash(raw))
	}
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		// ferry CODE ARGUMENT... runs the program, which must exit with the code.
		"ferry": func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) == 0 {
				ts.Fatalf("usage: ferry CODE [ARGUMENT...]")
			}
			want, err := strconv.Atoi(args[0])
			ts.Check(err)
			got := 0
			var exit *exec.ExitError
			if err := ts.Exec("ftpferry", args[1:]...); errors.As(err, &exit) {
				got = exit.ExitCode()
			} else if err != nil {
				ts.Fatalf("%v", err)
			}
			if got != want {
				ts.Fatalf("exit code %d, want %d", got, want)
			}
		},
		// configure DIRECTION [LINE...] writes agent.toml for the server of the test, with more lines about it.
		"configure": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(os.MkdirAll(remote(ts, ""), 0o777))
			ts.Check(os.Chmod(remote(ts, ""), 0o777))
			about := strings.Join(args[1:], "\n")
			if server.CAFile == "" {
				about += "\ntls = \"none\""
			}
			text := fmt.Appendf(nil, configuration, server.Addr, server.User, about, server.RemoteRoot+"/"+ts.Name(), args[0], args[0] == "up")
			ts.Check(os.WriteFile(ts.MkAbs("agent.toml"), text, 0o600))
		},
		// replace FROM TO PATTERN WITH writes a file again, with other lines where a pattern matches one.
		"replace": func(ts *testscript.TestScript, _ bool, args []string) {
			pattern := regexp.MustCompile("(?m)" + args[2])
			ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(pattern.ReplaceAllString(ts.ReadFile(args[0]), args[3])), 0o600))
		},
		"remote_exists": func(ts *testscript.TestScript, neg bool, args []string) {
			_, err := os.Lstat(remote(ts, args[0]))
			if exists := err == nil; exists == neg {
				ts.Fatalf("%s on the server: exists is %v", args[0], exists)
			}
		},
		"remote_write": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(os.WriteFile(remote(ts, args[0]), []byte(args[0]), 0o666))
		},
		"remote_remove": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(os.Remove(remote(ts, args[0])))
		},
		// wait_for waits until a file is there, or is gone, or holds a text.
		"wait_for": func(ts *testscript.TestScript, neg bool, args []string) {
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				_, err := os.Lstat(ts.MkAbs(args[0]))
				if (err == nil) != neg {
					return
				}
			}
			ts.Fatalf("%s: waited in vain", args[0])
		},
		// wait_output PATTERN COMMAND... runs the program until it prints what the pattern matches.
		"wait_output": func(ts *testscript.TestScript, _ bool, args []string) {
			pattern := regexp.MustCompile("(?m)" + args[0])
			for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				ts.Exec("ftpferry", args[1:]...)
				if pattern.MatchString(ts.ReadFile("stdout")) {
					return
				}
			}
			ts.Fatalf("%s: waited in vain", args[0])
		},
		// wait_text FILE TEXT waits until a file has a text in it.
		"wait_text": func(ts *testscript.TestScript, _ bool, args []string) {
			for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if text, _ := os.ReadFile(ts.MkAbs(args[0])); strings.Contains(string(text), args[1]) {
					return
				}
			}
			ts.Fatalf("%s: waited in vain for %q", args[0], args[1])
		},
		// signal NAME sends a signal to what runs in the background.
		"signal": func(ts *testscript.TestScript, _ bool, args []string) {
			for _, command := range ts.BackgroundCmds() {
				ts.Check(command.Process.Signal(map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}[args[0]]))
			}
		},
		"wait_remote": func(ts *testscript.TestScript, neg bool, args []string) {
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				_, err := os.Lstat(remote(ts, args[0]))
				if (err == nil) != neg {
					return
				}
			}
			ts.Fatalf("%s on the server: waited in vain", args[0])
		},
	}
}

const configuration = `
[agent]
state_dir = "state"
[server.real]
address = %q
user = %q
password = { env = "FERRY_PASSWORD" }
%s
[sync.s]
server = "real"
local = "local"
remote = %q
direction = %q
delete = true
settle = "0s"
watch = %v
`

// TestScripts runs what needs no server.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "../../testdata/script/local", Cmds: commands(nil)})
}

// TestServerScripts runs the scripts against one real server, each in a folder of its own.
func TestServerScripts(t *testing.T) {
	runServerScripts(t, "server", ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}))
}

// TestSecuredServerScripts does so over TLS. What runs beside the doctor, which tries PORT, is here too: pyftpdlib 1.5.7
// forgets data connections of others over that (TestAServerThatForgetsADataConnection in ftpclient).
func TestSecuredServerScripts(t *testing.T) {
	runServerScripts(t, "secured", ftptest.Real(t, "vsftpd", ftptest.RealOptions{TLS: true, RequireTLS: true}))
}

func runServerScripts(t *testing.T, folder string, server *ftptest.RealServer) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("../../testdata/script", folder), Cmds: commands(server),
		Setup: func(env *testscript.Env) error {
			env.Setenv("RIGHT_PASSWORD", server.Password)
			env.Setenv("FERRY_PASSWORD", server.Password)
			name := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-") // as TestScript.Name
			env.Setenv("NAME", name)
			env.Setenv("AT", server.RemoteRoot+"/"+name)
			if server.CAFile == "" {
				return nil
			}
			_, err := ftpclient.Dial(t.Context(), server.Addr, ftpclient.Options{PinnedKeys: []ftpclient.PinnedKey{{}}})
			var refused *ftpclient.CertificateError
			if !errors.As(err, &refused) {
				return fmt.Errorf("a server without a certificate: %w", err)
			}
			env.Setenv("PIN", refused.Key.String())
			return nil
		},
	})
}
