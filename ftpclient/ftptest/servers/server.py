"""An FTP server for tests; ends when its standard input does, so that it never outlives the test."""
import json
import logging
import os
import sys
import threading

from OpenSSL import SSL
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, ThrottledDTPHandler, TLS_DTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

options = json.loads(sys.argv[1])


def watch_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=watch_parent, daemon=True).start()
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
os.umask(0o022)


class ImplicitTLSHandler(TLS_FTPHandler):
    """Greets when the handshake is done; pyftpdlib itself has explicit TLS only."""

    def handle(self):
        self.secure_connection(self.ssl_context)

    def handle_ssl_established(self):
        super().handle()


class ThrottledTLSHandler(ThrottledDTPHandler, TLS_DTPHandler):
    pass


handler = FTPHandler
if options["ImplicitTLS"]:
    handler = ImplicitTLSHandler
elif options["TLS"]:
    handler = TLS_FTPHandler
if options["TLS"]:
    handler.certfile = options["CertFile"]
    handler.keyfile = options["KeyFile"]
    handler.tls_control_required = options["RequireTLS"]
    handler.tls_data_required = options["RequireTLS"]
handler.authorizer = DummyAuthorizer()
handler.authorizer.add_user(options["User"], options["Password"], options["Root"], perm="ew" if options["WriteOnly"] else "elradfmwMT")
handler.timeout = options["IdleTimeout"] // 10**9  # Go's nanoseconds
if options["ClientCAFile"]:
    context = handler.get_ssl_context()
    context.load_verify_locations(options["ClientCAFile"])
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *args: args[-1])
    context.set_session_id(b"ftpferry")  # OpenSSL demands one where clients show certificates
if options["Throttle"]:
    handler.dtp_handler = ThrottledTLSHandler if options["TLS"] else ThrottledDTPHandler
    handler.dtp_handler.read_limit = options["Throttle"]
    handler.dtp_handler.write_limit = options["Throttle"]
handler.dtp_handler.timeout = 900
handler.use_gmt_times = not options["LocalTime"]
handler.proto_cmds = {verb: form for verb, form in handler.proto_cmds.items() if verb not in (options["Deny"] or ())}
handler.auth_failed_timeout = 0
if options["PassivePorts"][0]:
    handler.passive_ports = range(options["PassivePorts"][0], options["PassivePorts"][1] + 1)


class Server(FTPServer):
    """Counts clients alone; pyftpdlib's max_cons also counts data connections and the listener."""

    def _accept_new_cons(self):
        channels = self.ioloop.socket_map.values()
        return sum(isinstance(channel, FTPHandler) for channel in channels) <= options["MaxClients"]


server = Server((options["Address"], options["Port"]), handler)
server.serve_forever(timeout=0.5)  # without one, idle sessions are found when somebody else says something
