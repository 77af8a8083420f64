"""An FTP server for tests; ends when its standard input does, so that it never outlives the test."""
import json
import logging
import os
import sys
import threading

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

options = json.loads(sys.argv[1])


def watch_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=watch_parent, daemon=True).start()
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
os.umask(0o022)

handler = TLS_FTPHandler if options["TLS"] else FTPHandler
if options["TLS"]:
    handler.certfile = options["CertFile"]
    handler.keyfile = options["KeyFile"]
    handler.tls_control_required = options["RequireTLS"]
    handler.tls_data_required = options["RequireTLS"]
handler.authorizer = DummyAuthorizer()
handler.authorizer.add_user(options["User"], options["Password"], options["Root"], perm="elradfmwMT")
handler.timeout = 900
handler.dtp_handler.timeout = 900
handler.auth_failed_timeout = 0


class Server(FTPServer):
    """Counts clients alone; pyftpdlib's max_cons also counts data connections and the listener."""

    def _accept_new_cons(self):
        channels = self.ioloop.socket_map.values()
        return sum(isinstance(channel, FTPHandler) for channel in channels) <= options["MaxClients"]


server = Server(("127.0.0.1", options["Port"]), handler)
server.serve_forever()
