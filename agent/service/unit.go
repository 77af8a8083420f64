package service

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"unicode"
)

// Unit is what makes the systemd unit of one machine differ from that of another.
type Unit struct {
	Program string // path of the program
	Config  string // path of the configuration
	// User is who the agent runs as; "" is a user that systemd makes up, and that owns nothing but the state.
	User string
	// Writable are the folders that the agent changes.
	Writable []string
	// Credentials are lines NAME:PATH of secrets that systemd hands over.
	Credentials []string
	packaged    bool
}

// The places that packages and the instructions use.
const (
	PackagedProgram    = "/usr/bin/ftpferry"
	PackagedConfig     = "/etc/ftpferry/agent.toml"
	packagedUser       = "ftpferry"
	environmentFile    = "/etc/ftpferry/environment"
	credentialsFolder  = "/etc/ftpferry/credentials"
	packagedUnitOrigin = "Part of the package. Folders other than below /srv: \"ftpferry service install --user ftpferry\" writes a unit for yours, which goes before this one."
	unitOrigin         = "Written by \"ftpferry service install\", which writes it anew when the folders change. Changes of your own: systemctl edit ftpferry"
)

// PackagedUnit is the unit in packages, which know nothing of the folders.
func PackagedUnit() Unit {
	return Unit{Program: PackagedProgram, Config: PackagedConfig, User: packagedUser, Writable: []string{"/srv"}, packaged: true}
}

//go:embed ftpferry.service.tmpl
var unitText string

var unitTemplate = template.Must(template.New("unit").Funcs(template.FuncMap{"path": unitPath, "argument": unitArgument}).Parse(unitText))

// Render returns the text of the unit. An error says what cannot be written in a unit.
func (u Unit) Render() (string, error) {
	for _, text := range slices.Concat([]string{u.Program, u.Config, u.User}, u.Writable, u.Credentials) {
		if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '"' || r == '\\' }) || strings.Contains(text, "{{") {
			return "", fmt.Errorf("%q: control characters, quotes, backslashes and {{ cannot stand in a unit", text)
		}
	}
	origin := unitOrigin
	if u.packaged {
		origin = packagedUnitOrigin
	}
	var out strings.Builder
	err := unitTemplate.Execute(&out, struct {
		Unit
		Origin, Environment string
		Home, Root          bool
	}{u, origin, environmentFile, slices.ContainsFunc(u.Writable, isHome), u.User == "root"})
	if err != nil {
		return "", fmt.Errorf("unit: %w", err)
	}
	return out.String(), nil
}

// isHome reports whether ProtectHome would hide the path.
func isHome(path string) bool {
	for _, home := range []string{"/home", "/root", "/run/user"} {
		if path == home || strings.HasPrefix(path, home+"/") {
			return true
		}
	}
	return false
}

// unitPath writes a path as systemd reads it back, which replaces %x by words of its own.
func unitPath(path string) string {
	path = strings.ReplaceAll(path, "%", "%%")
	if strings.ContainsAny(path, " '#;") {
		return `"` + path + `"`
	}
	return path
}

// unitArgument is unitPath for commands, in which systemd replaces $x by variables, too.
func unitArgument(path string) string { return unitPath(strings.ReplaceAll(path, "$", "$$")) }
