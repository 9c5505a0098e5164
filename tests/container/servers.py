# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's servers as the tests set them up: each on its port, for an exchange of inside/load.c, its unit file untouched."""

import os
from dataclasses import dataclass, field

# Half of Debian's ports are in the range of outgoing connections, where a client that finds nobody there now and then meets itself.
# These are not.
NGINX = "server { listen 8080; listen [::]:8080; access_log off; location / { return 200 'nginx\\n'; } }\n"
HAPROXY = """global
	stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
	user haproxy
	group haproxy
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 30s
frontend load
	bind :::8090 v4v6
	http-request return status 200 content-type text/plain string haproxy
"""
# Debian's configuration runs perl twice at each start.
LIGHTTPD = """server.document-root = "/var/www/html"
server.port = 80
server.username = "www-data"
server.groupname = "www-data"
server.errorlog = "/var/log/lighttpd/error.log"
index-file.names = ( "index.html" )
$SERVER["socket"] == "[::]:80" { }
"""
# It forks for each client, and drops some of the many that have not said who they are.
SSHD = "MaxStartups 10000\nUseDNS no\n"
SSHD_9_8 = "PerSourcePenalties no\n"
PAGE = "/var/www/html/index.html"
SSHD_CONFIG = "/etc/ssh/sshd_config.d/load.conf"


def storm(number):
    """How often, where the issue says number and a storm of 300: PORTRESERVED_STORM=20 makes all of them short."""
    return max(1, number * int(os.environ.get("PORTRESERVED_STORM", "300")) // 300)


@dataclass
class Server:
    name: str
    unit: str
    port: int
    exchange: str
    hold: str = "Hold=bound\n"
    files: dict = field(default_factory=dict)
    # Prints words all of which are others once it has loaded its configuration again.
    generation: str = "true"

    @property
    def config(self):
        return f"[{self.name}]\nPorts={self.port}/tcp\nUnit={self.unit}\n{self.hold}"

    def prepare(self, m):
        """Its configuration, until m.reset()."""
        if self.name == "ssh":
            m.run("mkdir", "-p", "/run/sshd")
            knows = m.run("sshd", "-t", "-o", SSHD_9_8.strip().replace(" ", "="), check=False).returncode == 0
            m.write(SSHD_CONFIG, SSHD + (SSHD_9_8 if knows else ""))
            m.made.append(SSHD_CONFIG)
        if self.name == "lighttpd":
            m.write(PAGE, "lighttpd\n")
            m.made.append(PAGE)
        for path, text in self.files.items():
            m.replace(path, text)

    def generation_of(self, m):
        return set(m.run("sh", "-c", self.generation).stdout.split())

    def load(self, *options):
        return ["/opt/inside/load", *map(str, options), self.exchange, str(self.port), "127.0.0.1", "::1"]


def workers(unit):
    return f"pgrep -P $(systemctl show --value --property=MainPID {unit})"


def server(m, name):
    """The server of that name, on this distribution."""
    if name == "postgresql":
        version = m.run("ls", "/etc/postgresql").stdout.strip()
        return Server(name, f"postgresql@{version}-main.service", 5432, "postgresql",
                      generation="grep -c SIGHUP /var/log/postgresql/*.log || true")
    return {
        "nginx": Server("nginx", "nginx.service", 8080, "http", files={"/etc/nginx/sites-enabled/default": NGINX},
                        generation=workers("nginx.service")),
        "haproxy": Server("haproxy", "haproxy.service", 8090, "http", files={"/etc/haproxy/haproxy.cfg": HAPROXY},
                          generation=workers("haproxy.service")),
        "lighttpd": Server("lighttpd", "lighttpd.service", 80, "http", files={"/etc/lighttpd/lighttpd.conf": LIGHTTPD},
                           generation="grep -c 'server started' /var/log/lighttpd/error.log"),
        "ssh": Server("ssh", "ssh.service", 22, "ssh", "Hold=bound\nReuseAddress=always\n",
                      generation="journalctl -q --boot _SYSTEMD_UNIT=ssh.service | grep -c 'Server listening on ::'"),
        "redis": Server("redis", "redis-server.service", 6379, "redis"),
    }[name]


def counts(text):
    """What inside/load.c printed."""
    found = {words[0]: int(words[1]) for words in map(str.split, text.splitlines()) if len(words) == 2 and words[1].isdigit()}
    assert found.get("errors") == 0, f"the client itself failed: {text}"
    return found


def table(title, rows):
    """rows: (what, counts)…"""
    columns = ["ok", "refused", "lost", "timeouts", "slowest"]
    lines = [title, f"{'':34}" + "".join(f"{c:>10}" for c in columns)]
    return "\n".join(lines + [f"{what:34}" + "".join(f"{c[k]:>10}" for k in columns) for what, c in rows])
