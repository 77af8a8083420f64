package main

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ftpferry/ftpferry/agent/config"
)

// job is what a client is to do, once.
type job struct {
	host, user, password string // port 21
	obscured             string // the password as rclone wants it
	caFile               string // of the authority behind the server's certificate; "" without TLS
	local, remote        string // the folder here, and there with its path from the root; both exist, the target of them is empty
	down                 bool
	recheck              bool // see work
	connections          int
	files                []sample
	scratch              string // a folder for what the client needs; it is also its home
}

// invocation is how a client is run: its arguments, and the files that it reads, by their names in the scratch folder.
type invocation struct {
	arguments []string
	files     map[string]string
}

// client is a program that moves files by FTP.
type client struct {
	name    string
	program string // looked for in $PATH
	version []string
	how     string // what a reader of the report should know of the command line
	// one: it uses one connection, whatever it is told.
	one bool
	// compares: it leaves alone what is there already; remembers: only what it has seen before.
	compares, remembers bool
	clearOnly           bool // no TLS that these servers would take
	only                func(work) bool
	command             func(job) invocation
}

// ours is the name of what this is all about.
const ours = "ftpferry"

// clients are all that can take part, ours first.
var clients = []client{
	{
		name: ours, program: ours, version: []string{"version"}, compares: true, remembers: true, command: ferryCommand,
		how: "once -q [--full]; connections = N, settle = \"0s\"; temporary names, SIZE, rename and the queue on disk as ever",
	},
	{
		name: "lftp", program: "lftp", version: []string{"--version"}, compares: true, command: lftpCommand(""),
		how: "set ftp:sync-mode off; mirror [-R] --no-perms --parallel=N",
	},
	{
		name: "lftp-pget", program: "lftp", version: []string{"--version"}, compares: true, command: lftpCommand(" --use-pget-n=4"),
		how:  "the same with --use-pget-n=4, for large downloads",
		only: func(w work) bool { return w.down && w.tree().bytes() > int64(len(w.tree().files))<<20 },
	},
	{
		name: "rclone", program: "rclone", version: []string{"version"}, compares: true, command: rcloneCommand,
		how: "sync --transfers N --checkers 8 --multi-thread-streams 0",
	},
	{
		name: "ncftp", program: "ncftpput", version: []string{"-v"}, one: true, clearOnly: true, command: ncftpCommand,
		how: "ncftpput -R -m, ncftpget -R",
	},
	{
		name: "wput", program: "wput", version: []string{"--version"}, one: true, clearOnly: true, command: wputCommand,
		how: "--disable-tls", only: func(w work) bool { return !w.down },
	},
	{name: "curl", program: "curl", version: []string{"--version"}, one: true, command: curlCommand(false), how: "-K LIST, one connection"},
	{name: "curl-Z", program: "curl", version: []string{"--version"}, command: curlCommand(true), how: "-Z --parallel-max N -K LIST"},
}

// refuses says why the client takes no part in a workload; "" if it does.
func (c client) refuses(w work, secured bool) string {
	switch {
	case secured && c.clearOnly:
		return "no TLS"
	case w.unchanged && !c.compares:
		return "does not compare"
	case c.only != nil && !c.only(w):
		return "not for this"
	}
	return ""
}

func ferryCommand(j job) invocation {
	quote := config.Quote
	secured := `tls = "none"`
	if j.caFile != "" {
		secured = fmt.Sprintf("tls_ca = %s\ntls_server_name = \"localhost\"", quote(j.caFile))
	}
	direction := "up"
	if j.down {
		direction = "down"
	}
	text := fmt.Sprintf("[agent]\nstate_dir = \"state\"\n\n[server.bench]\naddress = %s\nuser = %s\npassword = %s\nconnections = %d\n%s\n\n"+
		"[sync.bench]\nserver = \"bench\"\nlocal = %s\nremote = %s\ndirection = %q\nsettle = \"0s\"\n",
		quote(j.host+":21"), quote(j.user), quote(j.password), j.connections, secured, quote(j.local), quote(j.remote), direction)
	arguments := []string{"-c", filepath.Join(j.scratch, "agent.toml"), "once", "-q"}
	if j.recheck {
		arguments = append(arguments, "--full")
	}
	return invocation{arguments: arguments, files: map[string]string{"agent.toml": text}}
}

func lftpCommand(more string) func(job) invocation {
	return func(j job) invocation {
		secured := "set ftp:ssl-allow no"
		if j.caFile != "" {
			secured = "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate no"
		}
		from, to, reverse := j.local, j.remote, " -R"
		if j.down {
			from, to, reverse = j.remote, j.local, ""
		}
		quote := func(text string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'" }
		// Else it tries for ever what a server refuses.
		script := fmt.Sprintf("set net:max-retries 2; set cmd:fail-exit yes; %s; set ftp:sync-mode off; open -u %s ftp://%s; mirror%s --no-perms --parallel=%d%s %s %s",
			secured, quote(j.user+","+j.password), j.host, reverse, j.connections, more, quote(from), quote(to))
		return invocation{arguments: []string{"--norc", "-c", script}}
	}
}

func rcloneCommand(j job) invocation {
	from, to := j.local, ":ftp:"+j.remote
	if j.down {
		from, to = to, from
	}
	arguments := []string{"--config", "/dev/null", "--ftp-host", j.host, "--ftp-user", j.user, "--ftp-pass", j.obscured,
		"--retries", "1", "-q", "--transfers", strconv.Itoa(j.connections), "--checkers", "8", "--multi-thread-streams", "0"}
	if j.caFile != "" {
		arguments = append(arguments, "--ftp-explicit-tls", "--ftp-no-check-certificate")
	}
	return invocation{arguments: append(arguments, "sync", from, to)}
}

// ncftpCommand: both programs take folders by their names into another folder, so the two names have to be equal.
func ncftpCommand(j job) invocation {
	login := []string{"-V", "-R", "-u", j.user, "-p", j.password}
	if j.down {
		return invocation{arguments: append(login, j.host, filepath.Dir(j.local), j.remote)}
	}
	return invocation{arguments: append(login, "-m", j.host, path.Dir(j.remote), j.local)}
}

func wputCommand(j job) invocation {
	target := url.URL{Scheme: "ftp", User: url.UserPassword(j.user, j.password), Host: j.host, Path: j.remote + "/"}
	return invocation{arguments: []string{"-q", "--disable-tls", "--basename=" + j.local + "/", j.local + "/", target.String()}}
}

func curlCommand(parallel bool) func(job) invocation {
	return func(j job) invocation {
		var list strings.Builder
		quote := func(text string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"` }
		for _, file := range j.files {
			here, there := "upload-file", url.URL{Scheme: "ftp", Host: j.host, Path: path.Join(j.remote, file.Path)}
			if j.down {
				here = "output"
			}
			fmt.Fprintf(&list, "url = %s\n%s = %s\n", quote(there.String()), here, quote(filepath.Join(j.local, filepath.FromSlash(file.Path))))
		}
		arguments := []string{"-q", "-sS", "--user", j.user + ":" + j.password, "--ftp-create-dirs", "--create-dirs", "--fail-early"}
		if parallel {
			arguments = append(arguments, "-Z", "--parallel-max", strconv.Itoa(j.connections))
		}
		if j.caFile != "" {
			arguments = append(arguments, "--ssl-reqd", "--insecure")
		}
		return invocation{
			arguments: append(arguments, "-K", filepath.Join(j.scratch, "list")),
			files:     map[string]string{"list": list.String()},
		}
	}
}

// programOf is the program for one direction.
func (c client) programOf(down bool) string {
	if c.program == "ncftpput" && down {
		return "ncftpget"
	}
	return c.program
}
