package ftpclient

import "strings"

// Facts is what was learned about a server by talking to it, as a value: hand the facts of
// the last connection in at Dial, read the new ones with Conn.Facts, keep them where you
// like. Wrong facts cost a round trip or two and nothing else.
type Facts struct {
	// DataMode is the mode of the last data connection that worked, "" when unknown.
	DataMode string `json:"data_mode,omitempty"`
	// EPSVRefused: EPSV was answered with a 5yz.
	EPSVRefused bool `json:"epsv_refused,omitempty"`
	// MLSDBroken: MLSD is in FEAT and does not work.
	MLSDBroken bool `json:"mlsd_broken,omitempty"`
	// ListAll: "" when unknown; "yes" when LIST -a lists hidden names too, "no" when this
	// server does not take it as an option.
	ListAll string `json:"list_all,omitempty"`
	// TimeSetter is the command that sets modification times: "MFMT", "MDTM", or "none".
	TimeSetter string `json:"time_setter,omitempty"`
	// CloseNotify: the server ends TLS on data connections properly, so that a listing that
	// ends without was cut.
	CloseNotify bool `json:"close_notify,omitempty"`
	// NoDotNames: the server refuses to create names with a leading dot.
	NoDotNames bool `json:"no_dot_names,omitempty"`
}

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
