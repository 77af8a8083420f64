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
	FromBytes []byte `json:"from_bytes,omitempty"`
	ToBytes   []byte `json:"to_bytes,omitempty"`
}

// MarshalJSON writes From and To as bytes too where text would not keep them. Path is for whoever stores the Op.
func (o Op) MarshalJSON() ([]byte, error) {
	j := opJSON{plainOp: plainOp(o)}
	if !utf8.ValidString(o.From) {
		j.FromBytes = []byte(o.From)
	}
	if !utf8.ValidString(o.To) {
		j.ToBytes = []byte(o.To)
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (o *Op) UnmarshalJSON(data []byte) error {
	j := opJSON{plainOp: plainOp(*o)}
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*o = Op(j.plainOp)
	if j.FromBytes != nil {
		o.From = string(j.FromBytes)
	}
	if j.ToBytes != nil {
		o.To = string(j.ToBytes)
	}
	return nil
}
