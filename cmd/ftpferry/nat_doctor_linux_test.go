package main

import "testing"

type doctorRow struct{ name string }

func (doctorRow) test(t *testing.T) {}

var doctorRows []doctorRow
