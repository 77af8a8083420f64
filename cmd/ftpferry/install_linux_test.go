package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// machine makes the folders of a machine with systemd that nobody else sees, with a systemctl that writes down what it is asked.
// Each step says what it is, what it tells, and its exit code.
const machine = `
set -eu
for folder in /etc/systemd/system /run /srv /usr/local /home; do
	mkdir -p $folder
	mount -t tmpfs -o mode=0755 none $folder
done
mkdir -p /run/systemd/system /usr/local/bin /srv/www /srv/in /home/x
touch /usr/local/bin/ftpferry /home/x/ftpferry
mount --bind "$1" /usr/local/bin/ftpferry
mount --bind "$1" /home/x/ftpferry
cat >/usr/local/bin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/srv/calls
load=loaded active=active
[ -e /etc/systemd/system/ftpferry.service ] || load=not-found active=inactive
case "$1" in
show) printf 'LoadState=%s\nActiveState=%s\nNRestarts=0\n' $load $active ;;
is-active)
	echo $active
	[ $active = active ] || exit 3
	;;
esac
END
chmod 755 /usr/local/bin/systemctl
export PATH=/usr/local/bin:$PATH
cd /srv

configure() {
	cat >agent.toml <<END
[server.acme]
address = "ftp.example.com"
user = "mirror"
[sync.website]
server = "acme"
local = "$2"
remote = "/htdocs"
direction = "$1"
schedule = ["@hourly"]
END
	chmod 644 agent.toml
}
step() {
	echo "=== $1"
	shift
	code=0
	"$@" </dev/null 2>&1 || code=$?
	echo "exit code $code"
}

step "not installed" ftpferry service status
step "no configuration" ftpferry -c none.toml service install
echo nonsense = >agent.toml
step "a configuration with errors" ftpferry -c agent.toml service install
configure up /srv/www
chmod 600 agent.toml
step "a configuration that only root can read" ftpferry -c agent.toml service install
configure down /srv/in
step "a folder that its user cannot write" ftpferry -c agent.toml service install
step "as a user that there is not" ftpferry -c agent.toml service install --user jane-doe
configure down /tmp
step "a folder that a service does not see" ftpferry -c agent.toml service install
configure down /srv/later
step "a folder that it cannot make" ftpferry -c agent.toml service install
configure up /srv/later
step "a folder that it reads may come later" ftpferry -c agent.toml service install
configure up /srv/www
step "a program that a service does not see" /home/x/ftpferry -c agent.toml service install
step "not root" setpriv --reuid 1234 --regid 1234 --clear-groups ftpferry -c agent.toml service install
rm -f calls
step "installed" ftpferry -c agent.toml service install
step "its unit" cat /etc/systemd/system/ftpferry.service
step "what systemd was told" cat calls
step "runs" ftpferry service status
step "runs, as JSON" ftpferry service status --json
configure down /srv/in
step "again, for other folders, as their owner" ftpferry -c agent.toml service install --user root
step "its new unit" cat /etc/systemd/system/ftpferry.service
rm -f calls
step "uninstalled" ftpferry service uninstall
step "what is left" ls /etc/systemd/system /srv
step "what systemd was told then" cat calls
step "uninstalled twice" ftpferry service uninstall
echo "[Unit]" >/etc/systemd/system/ftpferry.service
step "beside a unit of somebody else" ftpferry -c agent.toml service install --user root
step "a unit of somebody else stays" ftpferry service uninstall
step "it is there" ls /etc/systemd/system
rmdir /run/systemd/system
step "without systemd" ftpferry -c agent.toml service install
`

// TestInstallingTheService on a machine with systemd, as far as that goes without it.
func TestInstallingTheService(t *testing.T) {
	t.Parallel()
	for _, need := range []string{"root", "tmpfs", "unshare", "setpriv"} {
		ftptest.Need(t, need)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("unshare", "--mount", "--", "sh", "-c", machine, "sh", self)
	c.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	steps := map[string]string{}
	for _, part := range strings.Split("\n"+string(out), "\n=== ")[1:] {
		name, told, _ := strings.Cut(part, "\n")
		steps[name] = told + "\n"
	}
	for _, row := range []struct {
		step  string
		words []string
	}{
		{"not installed", []string{"the service is not installed", "exit code 69\n"}},
		{"no configuration", []string{"none.toml", "exit code 78\n"}},
		{"a configuration with errors", []string{"agent.toml:1", "the service could not start", "exit code 78\n"}},
		{"a configuration that only root can read", []string{"cannot read /srv/agent.toml: chmod 644", "exit code 1\n"}},
		{"a folder that its user cannot write", []string{"cannot write /srv/in", "--user root", "exit code 1\n"}},
		{"as a user that there is not", []string{`there is no user "jane-doe"`, "useradd", "exit code 1\n"}},
		{"a folder that a service does not see", []string{"/tmp: the service has folders for temporary files of its own", "exit code 1\n"}},
		{"a folder that it cannot make", []string{"/srv/later does not exist", "mkdir /srv/later", "exit code 1\n"}},
		{"a folder that it reads may come later", []string{"installed: ", "exit code 0\n"}},
		{"a program that a service does not see", []string{"cannot start /home/x/ftpferry there", "sudo install", "exit code 1\n"}},
		{"not root", []string{"only root can do that: sudo ftpferry service install", "exit code 1\n"}},
		{"installed", []string{"installed: /etc/systemd/system/ftpferry.service, with /srv/agent.toml", "next: sudo systemctl restart ftpferry", "exit code 0\n"}},
		{"its unit", []string{"ExecStart=/usr/local/bin/ftpferry -c /srv/agent.toml run\n", "\nDynamicUser=yes\n", "\nReadWritePaths=-/srv/www\n", "\nProtectHome=yes\n"}},
		{"what systemd was told", []string{"enable ftpferry.service\n", "daemon-reload\n"}},
		{"runs", []string{"the service runs\n", "exit code 0\n"}},
		{"runs, as JSON", []string{`"running": true`, "exit code 0\n"}},
		{"again, for other folders, as their owner", []string{"installed: /etc/systemd/system/ftpferry.service", "exit code 0\n"}},
		{"its new unit", []string{"\nUser=root\n", "\nReadWritePaths=-/srv/in\n"}},
		{"uninstalled", []string{"state and the configuration stay", "exit code 0\n"}},
		{"what is left", []string{"/etc/systemd/system:\n\n/srv:\nagent.toml\n"}},
		{"what systemd was told then", []string{"stop ftpferry.service\n", "disable ftpferry.service\n", "daemon-reload\nreset-failed ftpferry.service\n"}},
		{"uninstalled twice", []string{"not installed", "exit code 69\n"}},
		{"beside a unit of somebody else", []string{"was not written by", "exit code 1\n"}},
		{"a unit of somebody else stays", []string{"was not written by", "exit code 1\n"}},
		{"it is there", []string{"ftpferry.service\n"}},
		{"without systemd", []string{"systemd does not run here", "let \"ftpferry run\" be its process", "exit code 1\n"}},
	} {
		for _, word := range row.words {
			if !strings.Contains(steps[row.step], word) {
				t.Errorf("%s: %q is missing in:\n%s", row.step, word, steps[row.step])
			}
		}
	}
	if strings.Contains(steps["its new unit"], "/srv/www") {
		t.Errorf("the new unit has the old folder:\n%s", steps["its new unit"])
	}
}
