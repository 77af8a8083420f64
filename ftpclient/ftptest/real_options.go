package ftptest

import (
	"crypto/tls"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// RealOptions is how a real server is set up. The zero value is a plain server for many clients on a new folder. Not
// every server can do everything: [Offers] tells, and [Real] fails the test where one is asked for what it cannot do.
type RealOptions struct {
	TLS         bool   // explicit TLS is offered, for the control connection and for data
	RequireTLS  bool   // and nothing works without it; includes TLS
	ImplicitTLS bool   // TLS from the first byte; includes TLS; pure-ftpd has none
	MaxTLS      uint16 // the highest version: tls.VersionTLS12; 0 or tls.VersionTLS13 for the newest
	// SessionTickets has proftpd give session tickets with TLS 1.2 too; the others do anyway. NoSessionReuse has it take
	// data connections that do not resume the TLS session of the control connection.
	SessionTickets, NoSessionReuse bool
	// ClientCAFile demands client certificates, signed by this authority (PEM); includes TLS. See [NewClientCertificate].
	ClientCAFile string
	MaxClients   int    // how many may be connected (proftpd: logged in) at a time; 0 for many
	Password     string // of pyftpdlib alone; "" for the usual one
	Port         int    // 0 for a free one, or 21 on a Host
	Root         string // the folder to serve, with an absolute path; "" for a new one that ends with the test

	// Host is the machine of a [Lab] to run on; nil for this one. Address is one of its own addresses; "" for 127.0.0.1.
	Host    *Host `json:"-"`
	Address string
	// PassivePorts are the first and the last port of passive mode; 0 for any.
	PassivePorts [2]int
	// PassiveAddress is what the reply to PASV names; "" for the server's own.
	PassiveAddress string
	FromPort20     bool // connections of active mode come from port 20 (RFC 959 section 3.2), which needs a Host

	NoRestart   bool // REST before STOR, and APPE to a file that is there, are refused, as in proftpd's own default
	NoOverwrite bool // STOR to a file that is there is refused
	AutoRename  bool // STOR to a file that is there makes another file beside it, NAME.1, and says 226
	NoDotNames  bool // names with a leading dot are refused where they would be created
	// HideDotFiles leaves such names out of LIST unless its options hold -a. MLSD still has them at proftpd.
	HideDotFiles bool
	// WriteOnly makes a drop box: folders can be entered and files stored, and nothing is listed, told of, read, renamed or
	// removed.
	WriteOnly bool
	// Deny are commands that are refused, such as MFMT, MLSD, EPSV. FEAT goes on listing them, except at pyftpdlib.
	Deny []string
	// Modules of proftpd: deflate (MODE Z), digest (HASH, XCRC, MD5, ...), copy (SITE CPFR), site_misc (SITE UTIME,
	// SYMLINK, MKDIR).
	Modules []string

	QuotaFiles int   // how many files the user may have (proftpd: upload); at pure-ftpd refused before the transfer
	QuotaBytes int64 // how many bytes; at proftpd refused in the middle of the transfer
	Throttle   int   // bytes a second on each data connection; whole KiB at pure-ftpd
	// IdleTimeout of the control connection; whole seconds, at pure-ftpd whole minutes. 0 for 15 minutes.
	IdleTimeout time.Duration
	TimeZone    string // of the server, in the form of the variable TZ that needs no file: "EST5", "UTC-5:30"; "" for ours
	// LocalTime has LIST tell times in that zone, at vsftpd and pyftpdlib MDTM too, and at pyftpdlib MLSD. LIST of
	// pure-ftpd always does, and the rest of it never: it has no such option.
	LocalTime bool
}

// everyServer are the options that need nothing of a server.
var everyServer = []string{"TLS", "RequireTLS", "MaxTLS", "ClientCAFile", "MaxClients", "Port", "Root", "IdleTimeout",
	"Throttle", "TimeZone", "Host", "Address", "PassivePorts"}

// Offers reports whether the real server can do what a field of [RealOptions] asks for.
func Offers(server, field string) bool {
	if _, ok := reflect.TypeFor[RealOptions]().FieldByName(field); !ok {
		panic("ftptest.Offers: RealOptions has no field " + field)
	}
	recipe, ok := recipes[server]
	if !ok {
		panic("ftptest.Offers: no server " + server)
	}
	return slices.Contains(everyServer, field) || slices.Contains(recipe.offers, field)
}

// check says what the server cannot do.
func (o RealOptions) check(server string) error {
	value := reflect.ValueOf(o)
	for i := range value.NumField() {
		if field := value.Type().Field(i).Name; !value.Field(i).IsZero() && !Offers(server, field) {
			return fmt.Errorf("%s cannot do %s", server, field)
		}
	}
	unit, block := time.Second, 1
	if server == "pure-ftpd" {
		unit, block = time.Minute, 1024
	}
	if o.IdleTimeout < 0 || o.IdleTimeout%unit != 0 {
		return fmt.Errorf("%s: IdleTimeout %s: it counts by %s", server, o.IdleTimeout, unit)
	}
	if o.Throttle < 0 || o.Throttle%block != 0 {
		return fmt.Errorf("%s: Throttle %d: it counts by %d", server, o.Throttle, block)
	}
	if o.MaxTLS != 0 && o.MaxTLS != tls.VersionTLS12 && o.MaxTLS != tls.VersionTLS13 {
		return fmt.Errorf("%s: MaxTLS %s: it has TLS 1.2 and 1.3", server, tls.VersionName(o.MaxTLS))
	}
	modules := []string{"deflate", "digest", "copy", "site_misc"}
	for _, module := range o.Modules {
		if !slices.Contains(modules, module) {
			return fmt.Errorf("module %q; there are %s", module, strings.Join(modules, ", "))
		}
	}
	return nil
}
