package ftpclient

import "strings"

// Features is the server's answer to FEAT (RFC 2389), by name in upper case. A feature may
// stand there more than once. What is not listed may still be there.
type Features map[string][]string

// Has reports whether the server lists the feature.
func (f Features) Has(name string) bool {
	_, ok := f[strings.ToUpper(name)]
	return ok
}

// parseFeatures reads the lines between the first and the last of a 211 reply. Indents are
// blanks, tabs or missing; some servers repeat the code in front ("211-NAME").
func parseFeatures(lines []string) Features {
	features := Features{}
	for _, line := range lines[min(1, len(lines)):max(min(1, len(lines)), len(lines)-1)] {
		line = strings.TrimPrefix(strings.TrimLeft(line, " \t"), "211-")
		name, parameters, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		name = strings.ToUpper(name)
		features[name] = append(features[name], parameters)
	}
	return features
}
