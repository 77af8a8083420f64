package ftpclient

import (
	"slices"
	"strings"
)

// Features is the server's answer to FEAT (RFC 2389): the parameters of each line, by the
// name of the feature in upper case. A feature may stand there more than once. What is not
// listed may still be there.
type Features map[string][]string

// Has reports whether the server lists the feature, in whatever case.
func (f Features) Has(name string) bool {
	_, ok := f[strings.ToUpper(name)]
	return ok
}

// Parameters returns the parameters of a feature, those of all of its lines, as the server
// wrote them: "AUTH TLS;SSL" and "AUTH TLS-C" have TLS, SSL and TLS-C. They are separated by
// semicolons, commas and blanks.
func (f Features) Parameters(name string) []string {
	var all []string
	for _, line := range f[strings.ToUpper(name)] {
		all = append(all, strings.FieldsFunc(line, func(r rune) bool {
			return r == ';' || r == ',' || r == ' ' || r == '\t'
		})...)
	}
	return all
}

// HasParameter reports whether the feature is listed with the parameter, in whatever case. A
// star behind the parameter, which marks what is on by default, does not count.
func (f Features) HasParameter(name, parameter string) bool {
	return slices.ContainsFunc(f.Parameters(name), func(p string) bool {
		return strings.EqualFold(strings.TrimSuffix(p, "*"), parameter)
	})
}

// parseFeatures reads the lines of a 211 reply. Indents are blanks, tabs or missing; some
// servers repeat the code in front ("211-NAME"); the first and the last line are texts for
// people, unless they name a feature that everybody knows.
func parseFeatures(lines []string) Features {
	features := Features{}
	for i, line := range lines {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimLeft(line, " \t"), "211-"))
		name, parameters := line, ""
		if end := strings.IndexAny(line, " \t"); end >= 0 {
			name, parameters = line[:end], strings.TrimSpace(line[end:])
		}
		frame := i == 0 || i == len(lines)-1
		if name == "" || frame && !slices.Contains(wellKnown, name) {
			continue
		}
		name = strings.ToUpper(name)
		features[name] = append(features[name], parameters)
	}
	return features
}

// wellKnown are features that are recognised in the first and the last line, too.
var wellKnown = []string{"AUTH", "EPSV", "MDTM", "MLST", "REST", "SIZE", "TVFS", "UTF8"}
