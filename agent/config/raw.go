package config

import (
	"fmt"
	"time"
)

// raw is the file as written, with the defaults already in place. A new option is a field here and in [Config], a check
// in validate.go (of servers: server.go, tls.go, data.go) and a line in agent.toml. Beside the key, the tags of a field say
//
//	words     which words it may hold, with blanks between them
//	required  that it has to be there
//	form      path: relative to the file; command: so is the program that it begins with, if there is a "/" in it
//
// From them and the types come the decoding, "ftpferry config show" and the JSON schema.
type raw struct {
	Include stringOrList          `toml:"include"` // read before all else, see loader.include
	Agent   rawAgent              `toml:"agent"`
	Server  map[string]*rawServer `toml:"server"`
	Sync    map[string]*rawSync   `toml:"sync"`
	Alert   map[string]*rawAlert  `toml:"alert"`
}

type rawAgent struct {
	StateDir             string    `toml:"state_dir" form:"path"`
	Log                  rawLog    `toml:"log"`
	Listen               string    `toml:"listen"`
	ListenToken          rawSecret `toml:"listen_token"`
	Reload               string    `toml:"reload" words:"signal auto"`
	ShutdownGrace        duration  `toml:"shutdown_grace"`
	AllowNetworkStateDir bool      `toml:"allow_network_state_dir"`
	MaxStateSize         size      `toml:"max_state_size"`

	History        rawHistory        `toml:"history"`
	AddressSources rawAddressSources `toml:"address_sources"`
	Heartbeat      rawHeartbeat      `toml:"heartbeat"`
}

type rawHistory struct {
	Keep duration `toml:"keep"`
	Rows int64    `toml:"rows"`
}

type rawAddressSources struct {
	Gateway bool         `toml:"gateway"`
	STUN    stringOrList `toml:"stun"`
	HTTPS   stringOrList `toml:"https"`
}

type rawLog struct {
	Level  string `toml:"level" words:"debug info warn error"`
	Format string `toml:"format" words:"auto text json"`
}

type rawServer struct {
	Address        stringOrList `toml:"address" required:"true"`
	User           string       `toml:"user"`
	Password       rawSecret    `toml:"password"`
	Account        rawSecret    `toml:"account"`
	VirtualHost    string       `toml:"virtual_host"`
	Proxy          rawSecret    `toml:"proxy"`
	TLS            string       `toml:"tls" words:"explicit implicit none"`
	TLSCA          string       `toml:"tls_ca" form:"path"`
	TLSServerName  string       `toml:"tls_server_name"`
	TLSVerify      bool         `toml:"tls_verify"`
	TLSPin         stringOrList `toml:"tls_pin"`
	TLSCert        string       `toml:"tls_cert" form:"path"`
	TLSKey         string       `toml:"tls_key" form:"path"`
	TLSMin         string       `toml:"tls_min" words:"1.2 1.3"`
	TLSMax         string       `toml:"tls_max" words:"1.2 1.3"`
	TLSLegacy      bool         `toml:"tls_legacy"`
	Connections    int64        `toml:"connections"`
	Segments       int64        `toml:"segments"`
	Bandwidth      string       `toml:"bandwidth"`
	Encoding       string       `toml:"encoding"`
	ListTimeZone   string       `toml:"list_time_zone"`
	Compress       bool         `toml:"compress"`
	CommandLimit   int64        `toml:"command_limit"`
	Data           rawData      `toml:"data"`
	ConnectTimeout duration     `toml:"connect_timeout"`
	ReplyTimeout   duration     `toml:"reply_timeout"`
	StallTimeout   duration     `toml:"stall_timeout"`
}

type rawData struct {
	Mode           string       `toml:"mode" words:"auto passive active"`
	ActivePorts    string       `toml:"active_ports"`
	AnnouncedPorts string       `toml:"announced_ports"`
	ExternalIP     string       `toml:"external_ip"`
	PASVAddress    string       `toml:"pasv_address" words:"control reply"`
	DataPeer       stringOrList `toml:"data_peer"`
	HolePunch      bool         `toml:"hole_punch"`
}

// rawSecret is a plain string, or a table that says where the secret is: one key, and with keyring also user.
type rawSecret struct {
	literal    *string
	Env        string       `toml:"env"`
	File       string       `toml:"file" form:"path"`
	Credential string       `toml:"credential"`
	Command    stringOrList `toml:"command" form:"command"`
	Netrc      bool         `toml:"netrc"`
	Keyring    string       `toml:"keyring"`
	User       string       `toml:"user"`
}

func (s rawSecret) isEmpty() bool { return s.isLiteral("") || s.literal == nil && s.isNowhere() }

func (s rawSecret) isLiteral(text string) bool { return s.literal != nil && *s.literal == text }

// isNowhere: no source is named.
func (s rawSecret) isNowhere() bool {
	return s.Env == "" && s.File == "" && s.Credential == "" && len(s.Command) == 0 && !s.Netrc && s.Keyring == ""
}

type rawSync struct {
	Server    stringOrList `toml:"server" required:"true"`
	Local     string       `toml:"local" form:"path" required:"true"`
	Remote    string       `toml:"remote" required:"true"`
	Direction string       `toml:"direction" words:"up down both" required:"true"`
	Watch     bool         `toml:"watch"`
	WatchPoll duration     `toml:"watch_poll"`
	Schedule  rawSchedules `toml:"schedule"`
	Rescan    duration     `toml:"rescan"`
	Poll      age          `toml:"poll"`
	Recheck   trust        `toml:"recheck"`
	TimeZone  string       `toml:"time_zone"`
	Settle    duration     `toml:"settle"`
	Ready     string       `toml:"ready"`
	Marker    string       `toml:"marker"`
	Enabled   bool         `toml:"enabled"`

	Include         []string `toml:"include"`
	Exclude         []string `toml:"exclude"`
	IgnoreFile      string   `toml:"ignore_file"`
	DefaultExcludes bool     `toml:"default_excludes"`
	IgnoreCase      bool     `toml:"ignore_case"`
	MinSize         size     `toml:"min_size"`
	MaxSize         size     `toml:"max_size"`
	MinAge          age      `toml:"min_age"`
	MaxAge          age      `toml:"max_age"`
	Symlinks        string   `toml:"symlinks" words:"skip follow preserve"`

	OnForeignChange string    `toml:"on_foreign_change" words:"restore keep conflict"`
	Conflict        string    `toml:"conflict" words:"copy newer local remote ask"`
	Delete          deletion  `toml:"delete"`
	Trash           rawTrash  `toml:"trash"`
	MaxDelete       MaxDelete `toml:"max_delete"`
	Moves           bool      `toml:"moves"`

	Upload        rawUpload    `toml:"upload"`
	RemoteName    string       `toml:"remote_name"`
	AfterUpload   rawAfter     `toml:"after_upload"`
	AfterDownload rawAfter     `toml:"after_download"`
	Claim         bool         `toml:"claim"`
	Mode          string       `toml:"mode" words:"whole append"`
	Rules         rawModeRules `toml:"rules"`
	Verify        string       `toml:"verify" words:"size hash reread"`
	Transfers     int64        `toml:"transfers"`
	Allowed       stringOrList `toml:"allowed"`
	Hooks         rawHooks     `toml:"hooks"`
	Expect        rawExpects   `toml:"expect"`
}

type rawTrash struct {
	Folder string   `toml:"folder"`
	Keep   duration `toml:"keep"`
}

type rawUpload struct {
	Atomic bool   `toml:"atomic"`
	Prefix string `toml:"prefix"`
	Suffix string `toml:"suffix"`
	Folder string `toml:"folder"`
	Chmod  string `toml:"chmod"`
}

type rawHooks struct {
	Before  stringOrList `toml:"before" form:"command"`
	After   stringOrList `toml:"after" form:"command"`
	OnError stringOrList `toml:"on_error" form:"command"`
	Shell   bool         `toml:"shell"`
	Timeout duration     `toml:"timeout"`
}

func defaultRaw() *raw {
	return &raw{Agent: rawAgent{
		Log:            rawLog{Level: "info", Format: string(LogAuto)},
		Reload:         string(ReloadSignal),
		ShutdownGrace:  duration(30 * time.Second),
		History:        rawHistory{Keep: duration(90 * day), Rows: 1_000_000},
		AddressSources: rawAddressSources{Gateway: true},
		Heartbeat:      rawHeartbeat{Every: duration(5 * time.Minute)},
	}}
}

func (s *rawServer) setDefaults() {
	*s = rawServer{
		User:           "anonymous",
		TLS:            string(TLSExplicit),
		TLSVerify:      true,
		TLSMin:         "1.2",
		TLSMax:         "1.3",
		Connections:    4,
		Segments:       4,
		Encoding:       autoEncoding,
		CommandLimit:   mostCommandLimit,
		Data:           rawData{Mode: string(DataAuto), PASVAddress: string(PASVControl), DataPeer: stringOrList{peerControl}},
		ConnectTimeout: duration(15 * time.Second),
		ReplyTimeout:   duration(30 * time.Second),
		StallTimeout:   duration(60 * time.Second),
	}
}

func (s *rawSync) setDefaults() {
	*s = rawSync{
		WatchPoll:       defaultWatchPoll,
		Rescan:          defaultRescan,
		Recheck:         byDirection,
		Settle:          duration(5 * time.Second),
		Enabled:         true,
		Include:         []string{"**"},
		IgnoreFile:      ".ferryignore",
		DefaultExcludes: true,
		Symlinks:        LinksSkip,
		OnForeignChange: ForeignRestore,
		Conflict:        ConflictCopy,
		Trash:           rawTrash{Folder: ".ferry-trash", Keep: duration(30 * day)},
		MaxDelete:       MaxDelete{Percent: 10, IsPercent: true},
		Moves:           true,
		Upload:          rawUpload{Atomic: true, Prefix: "."},
		AfterUpload:     rawAfter{word: afterKeep},
		AfterDownload:   rawAfter{word: afterKeep},
		Mode:            modeWhole,
		Verify:          VerifySize,
		Hooks:           rawHooks{Timeout: duration(time.Minute)},
	}
}

// elsewhere are keys that are looked for in another place than they have; "*" stands for any name.
var elsewhere = map[string]string{
	"agent.include":            "it stands at the top of the file, above [agent]",
	"server.*.address_sources": "it is for all servers: write it below [agent]",
	"server.*.mode":            "it is a key of data: data = { mode = ... }",
	"server.*.active_ports":    "it is a key of data: data = { active_ports = ... }",
	"server.*.announced_ports": "it is a key of data: data = { announced_ports = ... }",
	"server.*.external_ip":     "it is a key of data: data = { external_ip = ... }",
	"server.*.pasv_address":    "it is a key of data: data = { pasv_address = ... }",
	"server.*.data_peer":       "it is a key of data: data = { data_peer = ... }",
	"server.*.hole_punch":      "it is a key of data: data = { hole_punch = ... }",
}

// setter is a raw type with rules of its own.
type setter interface {
	// set returns what is wrong with the TOML value, or "".
	set(value any) string
	// shown is the inverse of set: a string, bool, int64, []any or table.
	shown() any
	// schema describes the values that set takes.
	schema() schema
}

// stringOrList is a list of strings; a single one needs no brackets.
type stringOrList []string

func (s *stringOrList) set(value any) string {
	if single, ok := value.(string); ok {
		*s = []string{single}
		return ""
	}
	list, ok := stringList(value)
	if !ok {
		return fmt.Sprintf("must be a string or a list of strings, not %s", kindOf(value))
	}
	*s = list
	return ""
}
