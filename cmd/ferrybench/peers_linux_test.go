package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
)

func sampleJob() job {
	return job{
		host: "10.99.0.2", user: "ferry", password: "se'cret", obscured: "OBSCURED", local: "/here/tree", remote: "/there/tree", connections: 7,
		files: []sample{{"a b/ü.txt", 3}, {"c", 4}}, scratch: "/home",
	}
}

func clientNamed(t *testing.T, name string) client {
	t.Helper()
	i := slices.IndexFunc(clients, func(c client) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("no client %s", name)
	}
	return clients[i]
}

func TestCommandLines(t *testing.T) {
	t.Parallel()
	up, down, secured := sampleJob(), sampleJob(), sampleJob()
	down.down = true
	secured.caFile = "/ca.pem"
	for name, row := range map[string]struct {
		client string
		job    job
		want   []string
	}{
		"ours": {ours, up, []string{"-c", "/home/agent.toml", "once", "-q"}},
		"lftp up": {"lftp", up, []string{"--norc", "-c", `set net:max-retries 2; set cmd:fail-exit yes; set ftp:ssl-allow no; set ftp:sync-mode off; ` +
			`open -u 'ferry,se\'cret' ftp://10.99.0.2; mirror -R --no-perms --parallel=7 '/here/tree' '/there/tree'`}},
		"lftp down in segments": {"lftp-pget", down, []string{"--norc", "-c", `set net:max-retries 2; set cmd:fail-exit yes; set ftp:ssl-allow no; set ftp:sync-mode off; ` +
			`open -u 'ferry,se\'cret' ftp://10.99.0.2; mirror --no-perms --parallel=7 --use-pget-n=4 '/there/tree' '/here/tree'`}},
		"lftp by TLS": {"lftp", secured, []string{"--norc", "-c", `set net:max-retries 2; set cmd:fail-exit yes; ` +
			`set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate no; set ftp:sync-mode off; ` +
			`open -u 'ferry,se\'cret' ftp://10.99.0.2; mirror -R --no-perms --parallel=7 '/here/tree' '/there/tree'`}},
		"rclone down": {"rclone", down, []string{"--config", "/dev/null", "--ftp-host", "10.99.0.2", "--ftp-user", "ferry", "--ftp-pass", "OBSCURED", "--retries", "1", "-q",
			"--transfers", "7", "--checkers", "8", "--multi-thread-streams", "0", "sync", ":ftp:/there/tree", "/here/tree"}},
		"rclone up by TLS": {"rclone", secured, []string{"--config", "/dev/null", "--ftp-host", "10.99.0.2", "--ftp-user", "ferry", "--ftp-pass", "OBSCURED", "--retries", "1", "-q",
			"--transfers", "7", "--checkers", "8", "--multi-thread-streams", "0", "--ftp-explicit-tls", "--ftp-no-check-certificate", "sync", "/here/tree", ":ftp:/there/tree"}},
		"ncftp up":   {"ncftp", up, []string{"-V", "-R", "-u", "ferry", "-p", "se'cret", "-m", "10.99.0.2", "/there", "/here/tree"}},
		"ncftp down": {"ncftp", down, []string{"-V", "-R", "-u", "ferry", "-p", "se'cret", "10.99.0.2", "/here", "/there/tree"}},
		"wput":       {"wput", up, []string{"-q", "--disable-tls", "--basename=/here/tree/", "/here/tree/", "ftp://ferry:se%27cret@10.99.0.2/there/tree/"}},
		"curl":       {"curl", up, []string{"-q", "-sS", "--user", "ferry:se'cret", "--ftp-create-dirs", "--create-dirs", "--fail-early", "-K", "/home/list"}},
		"curl, connections in parallel, by TLS": {"curl-Z", secured, []string{"-q", "-sS", "--user", "ferry:se'cret", "--ftp-create-dirs", "--create-dirs", "--fail-early",
			"-Z", "--parallel-max", "7", "--ssl-reqd", "--insecure", "-K", "/home/list"}},
	} {
		if difference := cmp.Diff(row.want, clientNamed(t, row.client).command(row.job).arguments); difference != "" {
			t.Errorf("%s: -want +got:\n%s", name, difference)
		}
	}
}

func TestFilesOfClients(t *testing.T) {
	t.Parallel()
	up, down, secured := sampleJob(), sampleJob(), sampleJob()
	down.down = true
	secured.caFile = "/ca.pem"
	list := clientNamed(t, "curl").command(up).files["list"]
	if want := "url = \"ftp://10.99.0.2/there/tree/a%20b/%C3%BC.txt\"\nupload-file = \"/here/tree/a b/ü.txt\"\n"; !strings.HasPrefix(list, want) {
		t.Errorf("curl's list is %s, want it to begin with %s", list, want)
	}
	if list := clientNamed(t, "curl").command(down).files["list"]; !strings.Contains(list, "output = \"/here/tree/c\"") {
		t.Errorf("curl's list of downloads is %s", list)
	}
	for name, row := range map[string]struct {
		job  job
		want string
	}{
		"up in clear":   {up, "direction = \"up\""},
		"down":          {down, "direction = \"down\""},
		"by TLS":        {secured, "tls_ca = \"/ca.pem\""},
		"as asked for":  {up, "connections = 7"},
		"the password":  {up, "password = \"se'cret\""},
		"not encrypted": {up, "tls = \"none\""},
	} {
		text := clientNamed(t, ours).command(row.job).files["agent.toml"]
		if !strings.Contains(text, row.want+"\n") {
			t.Errorf("%s: no %s in\n%s", name, row.want, text)
		}
		if row.job.caFile != "" {
			continue // that file would have to be there
		}
		file := filepath.Join(t.TempDir(), "agent.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(file, func(string) string { return "" }); err != nil {
			t.Errorf("%s: %v in\n%s", name, err, text)
		}
	}
}

func TestWhoTakesPart(t *testing.T) {
	t.Parallel()
	named := func(name string) work {
		return works[slices.IndexFunc(works, func(w work) bool { return w.name == name })]
	}
	for _, row := range []struct {
		client, work string
		secured      bool
		want         string
	}{
		{ours, "N10k", true, ""},
		{"lftp", "N10k", false, ""},
		{"curl", "N10k", false, "does not compare"},
		{"curl", "U1k", true, ""},
		{"ncftp", "U1k", false, ""},
		{"ncftp", "U1k", true, "no TLS"},
		{"wput", "D1k", false, "not for this"},
		{"lftp-pget", "B1d", false, ""},
		{"lftp-pget", "B1u", false, "not for this"},
		{"lftp-pget", "D1k", false, "not for this"},
	} {
		if got := clientNamed(t, row.client).refuses(named(row.work), row.secured); got != row.want {
			t.Errorf("%s at %s, TLS %v: %q, want %q", row.client, row.work, row.secured, got, row.want)
		}
	}
}
