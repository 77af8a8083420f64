package doctor

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ftpferry/ftpferry/agent/config"
)

// recommend returns the settings that differ from the configured ones and should not. It is pure.
func recommend(r *Report, s *config.Server) []Setting {
	all := []Setting{}
	for _, advice := range advices {
		all = append(all, advice(r, s)...)
	}
	return all
}

// advices are independent of each other. To add one is a function and a line.
var advices = []func(*Report, *config.Server) []Setting{
	adviseTLS, advisePin, adviseOldTLS, adviseResumption, adviseEncoding,
	adviseConnections, adviseCommandLimit, adviseCompression, adviseForwarding,
}

func setting(key, value, why string, args ...any) Setting {
	return Setting{Key: key, Value: value, Why: fmt.Sprintf(why, args...)}
}

// ask leaves a setting to a person.
func ask(s Setting) []Setting {
	s.Ask = true
	return []Setting{s}
}

func adviseTLS(r *Report, s *config.Server) []Setting {
	if s.TLS != config.TLSNone || r.TLS == nil || !r.TLS.Offered {
		return nil
	}
	use := setting("tls", `"explicit"`, "the server offers TLS: password and files need not cross the network in clear")
	if c := r.TLS.Certificate; c == nil || !c.Trusted && !c.Pinned {
		use.Why += "; tls_pin has to be decided, too"
		return ask(use)
	}
	return []Setting{use}
}

func advisePin(r *Report, s *config.Server) []Setting {
	if r.TLS == nil || r.TLS.Certificate == nil || r.TLS.Certificate.Trusted || r.TLS.Certificate.Pinned {
		return nil
	}
	why := "the certificate is not trusted here; take the pin only after comparing it with what the server's operator says"
	if len(s.TLSPins) > 0 {
		why = "the server has another key than the pinned ones; take it only if its operator says that it has a new one"
	}
	return ask(setting("tls_pin", quote(r.TLS.Certificate.Pin), "%s", why))
}

// accepts reports whether a version was tried and accepted.
func (t *TLS) accepts(versions ...string) bool {
	return slices.ContainsFunc(t.Versions, func(v TLSVersion) bool { return v.Accepted && slices.Contains(versions, v.Version) })
}

func adviseOldTLS(r *Report, s *config.Server) []Setting {
	if r.TLS == nil || s.TLSLegacy || r.TLS.accepts("1.3", "1.2") || !r.TLS.accepts("1.1", "1.0") {
		return nil
	}
	return ask(setting("tls_legacy", "true", "the server knows nothing newer than TLS 1.1, which can be broken: better have it updated"))
}

func adviseResumption(r *Report, s *config.Server) []Setting {
	if r.TLS == nil || r.TLS.Resumes12 == nil || !*r.TLS.Resumes12 || s.TLSMax == tls.VersionTLS12 {
		return nil
	}
	return []Setting{setting("tls_max", `"1.2"`, "the server demands resumed TLS sessions and recognises those of TLS 1.2 alone")}
}

func adviseEncoding(r *Report, s *config.Server) []Setting {
	if f, ok := r.feature("encoding"); !ok || f.Verdict != Broken || s.Encoding != "" {
		return nil
	}
	return ask(setting("encoding", `"windows-1252"`, "the server does not keep names in UTF-8: write the encoding that it uses"))
}

func adviseConnections(r *Report, s *config.Server) []Setting {
	f, _ := r.feature("connections")
	count, ok := f.Value.(int)
	if !ok || f.Verdict != Absent || count >= s.Connections {
		return nil
	}
	return []Setting{setting("connections", strconv.Itoa(max(count, 1)), "the server took no more at a time")}
}

func adviseCommandLimit(r *Report, s *config.Server) []Setting {
	f, _ := r.feature("long_paths")
	length, ok := f.Value.(int)
	if !ok || f.Verdict != Absent || length >= s.CommandLimit {
		return nil
	}
	return []Setting{setting("command_limit", strconv.Itoa(length), "the server does not get over longer lines")}
}

func adviseCompression(r *Report, s *config.Server) []Setting {
	if f, _ := r.feature("compression"); f.Verdict != Works || s.Compress {
		return nil
	}
	return ask(setting("compress", "true", "the server can compress, which pays on slow lines and for text"))
}

// adviseForwarding is for when nothing gets through and there is NAT on this side.
func adviseForwarding(r *Report, s *config.Server) []Setting {
	if r.Channels == nil || len(r.Channels.Ways) == 0 || r.Outside == nil || r.Outside.NAT == "none" || r.Outside.NAT == "" ||
		s.Data.ActivePorts.First > 0 || s.Data.Mode == config.DataPassive || s.Proxy.Reveal() != "" ||
		slices.ContainsFunc(r.Channels.Ways, func(w Way) bool { return w.Works }) {
		return nil
	}
	why := "no data connection gets through: forward these ports on your router to " + r.Outside.Local
	if r.Outside.NAT == "two NATs" {
		why += " (there are two NATs, so on both routers)"
	}
	return ask(setting("data.active_ports", `"50000-50010"`, "%s", why))
}

// quote is a string of TOML.
func quote(text string) string { return strconv.Quote(text) }

// tableName is the name of a server as a part of a key.
func tableName(name string) string {
	bare := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
	}
	if name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !bare(r) }) {
		return name
	}
	return quote(name)
}
