package ftptest

import (
	"cmp"
	"crypto/tls"
	"embed"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// The one login of every real server. The hash is crypt(3) of the password.
const (
	user         = "ferry"
	password     = "secret"
	passwordHash = "$5$ferry$38E213d72P/tWc4gJ.WikuEns7DhpOSh0hjGVSGwBA5"
)

//go:embed servers
var serverFiles embed.FS

// setup is what configuration files are filled with.
type setup struct {
	RealOptions
	Dir               string // for configuration, logs and state of the server
	User, Password    string
	CertFile, KeyFile string // PEM; "" without TLS
	ModulePath        string // folder of the server's own modules
}

// Idle is the idle time-out in seconds.
func (s setup) Idle() int { return int(s.IdleTimeout / time.Second) }

// IPv6 is for servers that have to be told.
func (s setup) IPv6() bool { return strings.Contains(s.Address, ":") }

// Passive is the range of ports in the given form, "" for any.
func (s setup) Passive(format string) string {
	if s.PassivePorts == [2]int{} {
		return ""
	}
	return fmt.Sprintf(format, s.PassivePorts[0], s.PassivePorts[1])
}

// Denied are all commands that are refused.
func (s setup) Denied() []string {
	if !s.WriteOnly {
		return s.Deny
	}
	return append([]string{"LIST", "NLST", "MLSD", "MLST", "STAT", "SIZE", "MDTM", "RETR", "RNFR", "RNTO", "DELE", "MFMT", "MKD", "RMD", "SITE"}, s.Deny...)
}

// OnlyTLS12 is for servers that list the versions.
func (s setup) OnlyTLS12() bool { return s.MaxTLS == tls.VersionTLS12 }

// HasQuota is for servers that keep quotas apart.
func (s setup) HasQuota() bool { return s.QuotaFiles > 0 || s.QuotaBytes > 0 }

// KiloThrottle is the bandwidth in KiB a second.
func (s setup) KiloThrottle() float64 { return float64(s.Throttle) / 1024 }

// recipe is how one kind of server is run.
type recipe struct {
	needs   []string
	offers  []string                       // fields of RealOptions beyond everyServer
	prepare func(setup) (*exec.Cmd, error) // writes what the server needs into setup.Dir
}

var recipes = map[string]recipe{
	"vsftpd": {
		needs:   []string{"root", "namespaces"},
		offers:  []string{"ImplicitTLS", "NoDotNames", "HideDotFiles", "WriteOnly", "Deny", "LocalTime", "FromPort20", "PassiveAddress"},
		prepare: prepareVsftpd,
	},
	"proftpd": {
		needs: []string{"root", "namespaces"},
		offers: []string{"ImplicitTLS", "NoRestart", "NoOverwrite", "NoDotNames", "HideDotFiles", "WriteOnly", "Deny", "Modules",
			"QuotaFiles", "QuotaBytes", "LocalTime", "SessionTickets", "NoSessionReuse", "PassiveAddress"},
		prepare: prepareProftpd,
	},
	"pure-ftpd": {
		needs:   []string{"root", "namespaces"},
		offers:  []string{"AutoRename", "NoDotNames", "HideDotFiles", "QuotaFiles", "QuotaBytes"},
		prepare: preparePureFTPd,
	},
	"pyftpdlib": {
		offers:  []string{"ImplicitTLS", "WriteOnly", "Deny", "LocalTime", "Password"},
		prepare: preparePyftpdlib,
	},
}

// prepareVsftpd logs in a true local user, which needs an account: one that exists in the server's namespace alone.
func prepareVsftpd(s setup) (*exec.Cmd, error) {
	server, err := findProgram("vsftpd")
	if err != nil {
		return nil, err
	}
	for _, folder := range []string{"empty", "pam.d"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, folder), 0o755); err != nil {
			return nil, err
		}
	}
	files := map[string]string{
		"passwd": "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/sh\n" + account("x", s.Root),
		"shadow": user + ":" + passwordHash + ":19000:0:99999:7:::\n",
		"group":  fmt.Sprintf("root:x:0:\nnogroup:x:65534:\n%s:x:%d:\n", user, loginID),
		// Without nodelay a failed login costs two seconds.
		"pam.d/ftpferry": "auth required pam_unix.so nodelay\naccount required pam_unix.so\n",
	}
	if err := s.write(files); err != nil {
		return nil, err
	}
	configuration, err := s.render("vsftpd.conf")
	if err != nil {
		return nil, err
	}
	// vsftpd demands a configuration that belongs to root, and this number is root on the other side.
	if err := os.Chown(configuration, loginID, loginID); err != nil {
		return nil, err
	}
	overlays := map[string]string{}
	for _, name := range []string{"passwd", "shadow", "group", "pam.d"} {
		overlays["/etc/"+name] = filepath.Join(s.Dir, name)
	}
	return server.isolated(overlays, configuration), nil
}

func prepareProftpd(s setup) (*exec.Cmd, error) {
	server, err := findProgram("proftpd")
	if err != nil {
		return nil, err
	}
	s.ModulePath = filepath.Join(filepath.Dir(server.path), "..", "lib", "proftpd")
	files := map[string]string{
		"passwd": account(passwordHash, s.Root),
		"group":  fmt.Sprintf("%s:x:%d:\n", user, loginID),
	}
	if err := s.write(files); err != nil {
		return nil, err
	}
	configuration, err := s.render("proftpd.conf")
	if err != nil {
		return nil, err
	}
	if s.HasQuota() {
		if err := s.makeQuota(filepath.Join(filepath.Dir(server.path), "ftpquota")); err != nil {
			return nil, err
		}
	}
	return server.isolated(nil, "--nodaemon", "--debug", "3", "--config", configuration), nil
}

// makeQuota writes the tables of mod_quotatab_file, unless an earlier start did.
func (s setup) makeQuota(tool string) error {
	limits, tally := filepath.Join(s.Dir, "quota.limits"), filepath.Join(s.Dir, "quota.tally")
	if _, err := os.Stat(limits); err == nil {
		return nil
	}
	record := []string{"--add-record", "--type=limit", "--table-path=" + limits, "--name=" + user, "--quota-type=user",
		"--limit-type=hard"}
	if s.QuotaFiles > 0 {
		record = append(record, "--files-upload="+strconv.Itoa(s.QuotaFiles))
	}
	if s.QuotaBytes > 0 {
		record = append(record, "--bytes-upload="+strconv.FormatInt(s.QuotaBytes, 10))
	}
	for _, args := range [][]string{
		{"--create-table", "--type=limit", "--table-path=" + limits},
		{"--create-table", "--type=tally", "--table-path=" + tally},
		record,
	} {
		if output, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ftpquota: %w: %s", err, output)
		}
	}
	return nil
}

// preparePureFTPd makes a virtual user. What the server logs goes to syslog only, so Log has just its transfers.
func preparePureFTPd(s setup) (*exec.Cmd, error) {
	server, err := findProgram("pure-ftpd")
	if err != nil {
		return nil, err
	}
	at := func(name string) string { return filepath.Join(s.Dir, name) }
	quota := ":"
	if s.HasQuota() { // where one of them is missing, it counts as 0
		quota = fmt.Sprintf("%d:%d", cmp.Or(s.QuotaFiles, math.MaxInt32), cmp.Or(s.QuotaBytes, math.MaxInt64))
	}
	account := fmt.Sprintf("%s:%s:%d:%d::%s/./::::::%s::::::\n", user, passwordHash, loginID, loginID, s.Root, quota)
	if err := s.write(map[string]string{"users": account}); err != nil {
		return nil, err
	}
	tool := exec.Command(filepath.Join(filepath.Dir(server.path), "..", "bin", "pure-pw"),
		"mkdb", at("users.pdb"), "-f", at("users"))
	tool.Env = server.environment()
	if output, err := tool.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pure-pw: %w: %s", err, output)
	}
	args := []string{
		"-S", s.Address + "," + strconv.Itoa(s.Port), "-c", strconv.Itoa(s.MaxClients), "-g", at("pid"),
		"-l", "puredb:" + at("users.pdb"), "-E", "-A", "-H",
		"-L", "1000000:100", // no short limit on listings
		"-U", "133:022", // for files and for folders
		"-I", strconv.Itoa(int(s.IdleTimeout / time.Minute)),
		"-O", "clf:" + at("transfers.log"),
	}
	for _, option := range []struct {
		wanted bool
		args   []string
	}{
		{!s.HideDotFiles, []string{"-D"}},
		{s.NoDotNames, []string{"-x"}},
		{s.AutoRename, []string{"-r"}},
		{s.PassivePorts != [2]int{}, []string{"-p", s.Passive("%d:%d")}},
		{s.Throttle > 0, []string{"-T", strconv.Itoa(s.Throttle / 1024)}},
	} {
		if option.wanted {
			args = append(args, option.args...)
		}
	}
	if s.TLS {
		files := []string{s.CertFile, s.KeyFile}
		if s.ClientCAFile != "" {
			files = append(files, s.ClientCAFile)
			args = append(args, "-J", "-C:HIGH")
		}
		certificate, err := s.join("server.pem", files...)
		if err != nil {
			return nil, err
		}
		level := "1" // offered
		if s.RequireTLS {
			level = "3" // required for control and data
		}
		args = append(args, "-Y", level, "-2", certificate)
	}
	return server.isolated(nil, args...), nil
}

func preparePyftpdlib(s setup) (*exec.Cmd, error) {
	python, err := findPython()
	if err != nil {
		return nil, err
	}
	script, err := s.render("server.py")
	if err != nil {
		return nil, err
	}
	options, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return exec.Command(python, script, string(options)), nil
}

// addEnvironment sets what servers take from there. OpenSSL reads the file that OPENSSL_CONF names in every server, and
// not all of them have an option for the version.
func (s setup) addEnvironment(command *exec.Cmd) error {
	command.Env = command.Environ()
	if s.TimeZone != "" {
		command.Env = append(command.Env, "TZ="+s.TimeZone)
	}
	if !s.OnlyTLS12() {
		return nil
	}
	command.Env = append(command.Env, "OPENSSL_CONF="+filepath.Join(s.Dir, "openssl.cnf"))
	return s.write(map[string]string{"openssl.cnf": "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\n" +
		"system_default = versions\n[versions]\nMaxProtocol = TLSv1.2\n"})
}

// account returns a line in the form of passwd(5).
func account(hash, home string) string {
	return fmt.Sprintf("%s:%s:%d:%d::%s:/bin/sh\n", user, hash, loginID, loginID, home)
}

func (s setup) write(files map[string]string) error {
	for name, content := range files {
		// For the owner alone, as servers demand of files with password hashes.
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// render fills a template and returns the path of the result.
func (s setup) render(name string) (string, error) {
	text, err := template.ParseFS(serverFiles, "servers/"+name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, name)
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return path, text.Execute(file, s)
}

// join puts files one after the other.
func (s setup) join(name string, paths ...string) (string, error) {
	var all []byte
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		all = append(all, content...)
	}
	return filepath.Join(s.Dir, name), s.write(map[string]string{name: string(all)})
}

func (p program) environment() []string {
	environment := append(os.Environ(), "LC_ALL=C.UTF-8")
	if p.libraries != "" {
		environment = append(environment, "LD_LIBRARY_PATH="+p.libraries)
	}
	return environment
}

func (p program) isolated(overlays map[string]string, args ...string) *exec.Cmd {
	command := isolate(overlays, append([]string{p.path}, args...)...)
	command.Env = p.environment()
	return command
}
