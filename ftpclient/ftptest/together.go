package ftptest

import "flag"

// WaitTogether lets more tests run at a time than there are processors, unless the command line says how many: for packages
// most of whose tests wait for servers. Call it in TestMain, before the command line is parsed.
func WaitTogether() { flag.Set("test.parallel", "8") }
