package list
import ("testing";"time")
func TestZZ(t *testing.T){
 l := Parse([]byte("Directory DISK$FTP:[ANON]\r\n\r\nA.TXT;3  2/4  29-JAN-1996 03:33:12  [A,B]   (RWED,RWED,,)\r\nA.TXT;2  2/4  28-JAN-1996 03:33:12  [A,B]   (RWED,RWED,,)\r\n\r\nTotal of 2 files, 4/8 blocks.\r\n"), Options{Now: time.Now(), System:"VMS"})
 t.Logf("%+v", l)
 l = Parse([]byte("-rw-r--r-- 1 a b 5 Jan 02 2024 x\r\n-rw-r--r-- 1 a b 6 Jan 02 2024 x\r\n"), Options{Now: time.Now()})
 t.Logf("%+v", l)
}
