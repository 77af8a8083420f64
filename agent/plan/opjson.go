package plan

import (
	"encoding/json"
	"unicode/utf8"
)

// plainOp has the fields of an Op without its methods.
type plainOp Op

// opJSON is the form of an Op in the state file, in which names survive that are not UTF-8.
type opJSON struct {
	plainOp
	FromBytes   []byte `json:"from_bytes,omitempty"`
	ToBytes     []byte `json:"to_bytes,omitempty"`
	LocalTarget []byte `json:"local_target_bytes,omitempty"` // of links
	FarTarget   []byte `json:"remote_target_bytes,omitempty"`
}

// names are those of an Op that have a form in bytes, in the same order as those.
func (j *opJSON) names() (texts [4]*string, raw [4]*[]byte) {
	return [...]*string{&j.From, &j.To, &j.Local.Entry.Target, &j.Remote.Entry.Target},
		[...]*[]byte{&j.FromBytes, &j.ToBytes, &j.LocalTarget, &j.FarTarget}
}

// MarshalJSON writes names as bytes too where text would not keep them. Path is for whoever stores the Op.
func (o Op) MarshalJSON() ([]byte, error) {
	j := opJSON{plainOp: plainOp(o)}
	texts, raw := j.names()
	for i, text := range texts {
		if !utf8.ValidString(*text) {
			*raw[i] = []byte(*text)
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (o *Op) UnmarshalJSON(data []byte) error {
	j := opJSON{plainOp: plainOp(*o)}
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	texts, raw := j.names()
	for i, bytes := range raw {
		if *bytes != nil {
			*texts[i] = string(*bytes)
		}
	}
	*o = Op(j.plainOp)
	return nil
}
